//! A social stream: people who do not exist write, and others like it; the same with every start.

use std::collections::VecDeque;

use serde_json::json;

use super::play::{Said, Script};

pub(super) const POSTS: &str = "social/posts";
const COUNTS: &str = "social/counts";

/// A post comes after so many ticks.
const TICKS_PER_POST: u64 = 18;
/// Until the first page is full.
pub(super) const TICKS_BEFORE: usize = 12 * 18;
/// The newest posts, which are still liked; older ones are forgotten.
const POSTS_MAX: usize = 12;

/// Handle, name in English and in Chinese.
const AUTHORS: [(&str, &str, &str); 7] = [
    ("ada", "Ada Brook", "溪艾达"),
    ("milo", "Milo Reed", "苇米洛"),
    ("lin", "Lin Qing", "林清"),
    ("noor", "Noor Delta", "努尔"),
    ("otto", "Otto Weir", "堰奥托"),
    ("suki", "Suki Mizu", "水树希"),
    ("juno", "Juno Falls", "朱诺"),
];
/// In English and in Chinese.
const TEXTS: [(&str, &str); 14] = [
    (
        "A kingfisher at the weir this morning. It did not wait for me to reload.",
        "今早在堰边看到一只翠鸟，它可没等我刷新。",
    ),
    (
        "Unplugged the router for a minute. Nothing was missing afterwards.",
        "把路由器拔了一分钟，回来一条都没少。",
    ),
    (
        "Our whole dashboard is forty lines now. The rest was polling.",
        "整个看板现在只有四十行，其余的原来都是轮询。",
    ),
    (
        "Rain in the hills. The gauge page knew before the radio did.",
        "山里下雨了，水位页面比广播先知道。",
    ),
    (
        "Moved to the train. The page fell asleep in the tunnel and woke up in step.",
        "上了火车，页面在隧道里睡着，出来时分毫不差。",
    ),
    ("One log, many readers. I sleep better.", "一份日志，众多读者，睡得更香。"),
    ("Tea, toast, and a stream that never asks again.", "茶、吐司，还有一条不必再问的流。"),
    (
        "The proxy held our stream back; the page asked instead and nobody noticed.",
        "代理扣住了流，页面改用询问，没人察觉。",
    ),
    ("Wrote a publisher in a shell script. It is one line.", "用 shell 写了个发布者，只有一行。"),
    ("Found a spring behind the mill. Cold enough to hurt.", "在磨坊后面找到一眼泉，冰得刺骨。"),
    (
        "Sixty tabs, one connection. My laptop stopped humming.",
        "六十个标签页，一条连接，电脑安静了。",
    ),
    (
        "The ferry is late again, and this time the page said so first.",
        "渡船又晚了，这次是页面先说的。",
    ),
    (
        "Teaching my father what a topic is. He calls them brooks.",
        "教父亲什么叫主题，他管它们叫小溪。",
    ),
    ("Low water today. You can see the old stones.", "今天水浅，看得见老石头。"),
];

/// What people write, and how much others like it.
#[derive(Debug)]
pub(super) struct Stream {
    random: fastrand::Rng,
    tick: u64,
    written: u64,
    posts: VecDeque<Post>,
}

#[derive(Debug)]
struct Post {
    number: u64,
    likes: u64,
    reposts: u64,
    replies: u64,
    /// How well it is liked: 1 to 5.
    appeal: u64,
}

impl Stream {
    pub(super) fn new() -> Self {
        Self {
            random: fastrand::Rng::with_seed(3),
            tick: 0,
            written: 0,
            posts: VecDeque::with_capacity(POSTS_MAX + 1),
        }
    }

    fn write(&mut self) -> Said {
        let number = self.written;
        self.written += 1;
        let of = |count: usize, step: u64| {
            let count = u64::try_from(count).unwrap_or(1);
            usize::try_from(number * step % count).unwrap_or_default()
        };
        let (handle, name, name_zh) =
            AUTHORS.get(of(AUTHORS.len(), 3)).copied().unwrap_or_default();
        let (text, text_zh) = TEXTS.get(of(TEXTS.len(), 1)).copied().unwrap_or_default();
        let appeal = self.random.u64(1..=5);
        self.posts.push_back(Post { number, likes: 0, reposts: 0, replies: 0, appeal });
        if self.posts.len() > POSTS_MAX {
            self.posts.pop_front();
        }
        let data = json!({
            "post": number, "handle": handle, "name": { "en": name, "zh": name_zh },
            "text": { "en": text, "zh": text_zh },
        });
        Said::new(POSTS, data)
    }

    /// Somebody likes a post; the newer, the likelier.
    fn like(&mut self) -> Option<Said> {
        let age = self.random.usize(..self.posts.len().max(1)).min(self.random.usize(..POSTS_MAX));
        let newest = self.posts.len().checked_sub(1)?;
        let post = self.posts.get_mut(newest.saturating_sub(age))?;
        post.likes += self.random.u64(1..=post.appeal * 3);
        if self.random.u64(..8) < post.appeal {
            post.reposts += self.random.u64(1..=post.appeal);
        }
        if self.random.u64(..12) < post.appeal {
            post.replies += 1;
        }
        let data = json!({
            "post": post.number, "likes": post.likes, "reposts": post.reposts,
            "replies": post.replies,
        });
        Some(Said::new(COUNTS, data))
    }
}

impl Script for Stream {
    fn next(&mut self) -> Vec<Said> {
        let is_time = self.tick.is_multiple_of(TICKS_PER_POST);
        self.tick += 1;
        let post = is_time.then(|| self.write());
        post.into_iter().chain(self.like()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn counters_only_rise_and_belong_to_a_post_that_was_told() {
        let mut stream = Stream::new();
        let mut likes = BTreeMap::new();
        for _ in 0..2000 {
            for said in stream.next() {
                let post = said.data["post"].as_u64().unwrap();
                if said.topic == POSTS {
                    assert_eq!(likes.insert(post, 0), None);
                } else {
                    let now = said.data["likes"].as_u64().unwrap();
                    let before = likes.insert(post, now).expect("it was told before");
                    assert!(now > before);
                }
            }
            assert!(stream.posts.len() <= POSTS_MAX);
        }
    }
}
