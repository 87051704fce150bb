//! Draws from a seed.

/// Draws from a seed: the same ones for the same seed. Steele, Lea and Flood's splitmix64, which is enough for drawing and
/// for nothing else.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Others, which are the same for the same seed and name.
    pub fn apart(&self, name: u64) -> Self {
        let mut apart = Self(self.0 ^ name.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(apart.number())
    }

    /// A number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something happens that does so often.
    pub fn happens(&mut self, chance: f64) -> bool {
        self.unit() < chance
    }

    /// A number below another, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    /// How long until something happens that happens so often in a length of time; for ever, when never.
    pub fn wait(&mut self, rate: f64) -> f64 {
        if rate > 0.0 { -(1.0 - self.unit()).ln() / rate } else { f64::INFINITY }
    }
}
