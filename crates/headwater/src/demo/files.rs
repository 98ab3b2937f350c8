//! The files of `web/demo`, carried by the binary.

use bytes::Bytes;
use headwater_server::Page;

/// Every file, and its text to read.
pub(super) fn pages() -> Vec<Page> {
    FILES.iter().flat_map(File::pages).collect()
}

struct File {
    path: &'static str,
    source_path: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal) => {
        file!(concat!("/", $name), $name)
    };
    ($path:expr, $name:literal) => {
        File {
            path: $path,
            source_path: concat!("/source/", $name),
            bytes: include_bytes!(concat!("../../assets/", $name)),
        }
    };
}

const FILES: &[File] = &[
    file!("/", "index.html"),
    file!("/stocks", "stocks.html"),
    file!("/match", "match.html"),
    file!("/posts", "posts.html"),
    file!("/social", "social.html"),
    file!("colors.css"),
    file!("dark.css"),
    file!("style.css"),
    file!("pages.css"),
    file!("demo.js"),
    file!("look.js"),
    file!("wire.js"),
    file!("panel.js"),
    file!("page.js"),
    file!("words.js"),
    file!("stocks.js"),
    file!("match.js"),
    file!("posts.js"),
    file!("social.js"),
    file!("uplot.js"),
    file!("uplot.css"),
    file!("uplot.LICENSE.txt"),
    file!("favicon.svg"),
];

impl File {
    fn pages(&self) -> [Page; 2] {
        let bytes = Bytes::from_static(self.bytes);
        let text = "text/plain; charset=utf-8";
        let content_type = match self.source_path.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => text,
        };
        [
            Page { path: self.path, content_type, bytes: bytes.clone() },
            Page { path: self.source_path, content_type: text, bytes },
        ]
    }
}
