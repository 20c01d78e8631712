//! Keys, and the order in which they come.

/// The length of every key.
pub const KEY: usize = 21;
/// The length of a value where nothing else is said.
pub const VALUE: usize = 64;

/// A small fast generator (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// From 0 to 1.
    pub fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Keys that lie one behind the other, so that to read the next one costs every candidate next to nothing.
pub struct Keys(Vec<u8>);

impl Keys {
    pub fn new(numbers: impl Iterator<Item = u64>) -> Self {
        let mut bytes = Vec::with_capacity(numbers.size_hint().0 * KEY);
        for number in numbers {
            bytes.extend_from_slice(&key(number));
        }
        Self(bytes)
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.chunks_exact(KEY)
    }
}

/// The text of a key. Numbers in a row do not give texts in a row.
pub fn key(number: u64) -> [u8; KEY] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    // Odd, and so a bijection.
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let mut text = *b"user:0000000000000000";
    for digit in text[5..].iter_mut().rev() {
        *digit = DIGITS[(mixed & 15) as usize];
        mixed >>= 4;
    }
    text
}

/// Key numbers of which the i-th is drawn in proportion to 1 / i^0.99.
pub struct Zipf(Vec<f64>);

impl Zipf {
    pub fn new(n: usize) -> Self {
        let mut sum = 0.0;
        let sums: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-0.99);
                sum
            })
            .collect();
        Self(sums.into_iter().map(|part| part / sum).collect())
    }

    pub fn draw(&self, random: &mut Random) -> u64 {
        let part = random.part();
        self.0.partition_point(|&sum| sum < part) as u64
    }
}
