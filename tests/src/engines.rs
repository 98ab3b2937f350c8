//! The same scenario in every engine, as a test of its own each.

/// Makes `chromium::scenario`, `firefox::scenario` and `webkit::scenario` of every
/// `async fn scenario(browser: Browser) -> Result<()>`.
#[macro_export]
macro_rules! in_each_engine {
    ($($scenario:ident),+) => {
        mod chromium { $crate::engine_tests!(Chromium, $($scenario),+); }
        mod firefox { $crate::engine_tests!(Firefox, $($scenario),+); }
        mod webkit { $crate::engine_tests!(WebKit, $($scenario),+); }
    };
}

/// The tests of one engine, for [`in_each_engine!`].
#[doc(hidden)]
#[macro_export]
macro_rules! engine_tests {
    ($engine:ident, $($scenario:ident),+) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $scenario() -> anyhow::Result<()> {
            super::$scenario($crate::Browser::start($crate::Engine::$engine).await?).await
        })+
    };
}
