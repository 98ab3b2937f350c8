// Shows a page in KHTML until it is killed.

#include <KHTMLPart>
#include <KHTMLView>
#include <QApplication>
#include <QUrl>

int main(int argc, char **argv)
{
    QApplication application(argc, argv);
    // A request is a job, and an application quits when its last job is done.
    QCoreApplication::setQuitLockEnabled(false);
    KHTMLPart part;
    part.setJScriptEnabled(true);
    part.view()->show();
    part.openUrl(QUrl(QString::fromLocal8Bit(argv[1])));
    return application.exec();
}
