//! Names of songs and singers, made from a number: the same number always makes the same. Pure.

use std::fmt::Write;

const HOW: [&str; 16] = [
    "Blue", "Silent", "Broken", "Golden", "Distant", "Paper", "Electric", "Lonely", "Crystal",
    "Wild", "Winter", "Hidden", "Velvet", "Burning", "Gentle", "Midnight",
];
const WHAT: [&str; 16] = [
    "River", "Garden", "Sky", "Road", "Mirror", "Harbour", "Letter", "Train", "Moon", "Forest",
    "Window", "Summer", "Island", "Dream", "Echo", "Stone",
];
const FIRST: [&str; 16] = [
    "Ada", "Leo", "Mia", "Noah", "Zoë", "Ivan", "Yuki", "Omar", "Lena", "Hugo", "Ines", "Karl",
    "Nina", "Pavel", "Rosa", "Tom",
];
const LAST: [&str; 64] = [
    "Adler",
    "Baker",
    "Chen",
    "Diaz",
    "Evans",
    "Fischer",
    "García",
    "Huang",
    "Ito",
    "Jansen",
    "Khan",
    "Lopez",
    "Martin",
    "Novak",
    "Okafor",
    "Park",
    "Quinn",
    "Rossi",
    "Silva",
    "Tanaka",
    "Usman",
    "Varga",
    "Weber",
    "Xu",
    "Young",
    "Zhang",
    "Arslan",
    "Bauer",
    "Costa",
    "Dubois",
    "Eriksen",
    "Foster",
    "Greco",
    "Hansen",
    "Ibarra",
    "Jones",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Nguyen",
    "Olsen",
    "Petrov",
    "Ramos",
    "Sato",
    "Torres",
    "Ueda",
    "Visser",
    "Wong",
    "Yilmaz",
    "Zimmer",
    "Andersen",
    "Brown",
    "Cruz",
    "Demir",
    "Ekström",
    "Fontana",
    "Gruber",
    "Horvat",
    "Ivanova",
    "Jensen",
    "Kaya",
    "Larsen",
    "Müller",
    "Nakamura",
];

/// Writes one row as `COPY` reads it: the song, a tab, the singer, a line's end.
pub(super) fn write(out: &mut String, number: u64) {
    let mixed = mix(number);
    let pick = |words: &[&'static str], shift: u32| words[(mixed >> shift) as usize % words.len()];
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "{} {} {}\t{} {}",
        pick(&HOW, 0),
        pick(&WHAT, 8),
        number + 1,
        pick(&FIRST, 16),
        pick(&LAST, 24),
    );
}

/// Spreads neighbouring numbers over all bits (the finalizer of splitmix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_two_plain_fields_and_singers_come_again() {
        let mut out = String::new();
        for number in 0..10_000 {
            write(&mut out, number);
        }
        let rows: Vec<_> = out
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .collect();
        assert!(!out.contains('\\') && rows.iter().all(|(_, singer)| !singer.contains('\t')));
        let songs: HashSet<_> = rows.iter().map(|(song, _)| song).collect();
        let singers: HashSet<_> = rows.iter().map(|(_, singer)| singer).collect();
        assert_eq!(songs.len(), 10_000);
        assert!((500..=1024).contains(&singers.len()), "{}", singers.len());
    }
}
