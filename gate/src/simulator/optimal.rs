//! The fewest builds that are possible one at a time, when the rate is known and sets are only ever halved: rule R1 of
//! M. Sobel and P. Groll, *Group testing to eliminate efficiently all defectives in a binomial sample*, Bell System
//! Technical Journal 38 (1959).

/// Builds that so many branches take, as a mean, when each is bad with this probability.
///
/// With `none(n)` for n branches of whom nothing is known, and `some(m, n)` for n of which the first m have a bad one:
/// a build of x of them is good or not, and the rest follows by recursion over the smaller.
pub fn builds(branches: usize, bad: f64) -> f64 {
    let good = 1.0 - bad;
    let power: Vec<f64> = (0..=branches).map(|x| good.powi(i32::try_from(x).unwrap_or(i32::MAX))).collect();
    let mut none = vec![0.0; branches + 1];
    let mut some = vec![vec![0.0; branches + 1]; branches + 1];
    for n in 1..=branches {
        some[1][n] = none[n - 1];
        for m in 2..=n {
            let cost = |x: usize| {
                let passes = (power[x] - power[m]) / (1.0 - power[m]);
                passes * some[m - x][n - x] + (1.0 - passes) * some[x][n]
            };
            some[m][n] = 1.0 + (1..m).map(cost).fold(f64::INFINITY, f64::min);
        }
        let cost = |x: usize| power[x] * none[n - x] + (1.0 - power[x]) * some[x][n];
        none[n] = 1.0 + (1..=n).map(cost).fold(f64::INFINITY, f64::min);
    }
    none[branches]
}

/// Builds for each of very many branches.
pub fn builds_each(bad: f64) -> f64 {
    (builds(300, bad) - builds(200, bad)) / 100.0
}

/// The bits that each branch takes to be told good or bad: no way to build takes fewer builds.
pub fn bits_each(bad: f64) -> f64 {
    -(bad * bad.log2() + (1.0 - bad) * (1.0 - bad).log2())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_is_above_what_must_be_told_and_near_it() {
        for bad in [0.01, 0.05, 0.1, 0.25] {
            let (each, bits) = (builds_each(bad), bits_each(bad));
            assert!(each >= bits && each < bits * 1.13, "{bad}: {each} of {bits}");
        }
        // From the golden section on nothing is better than one at a time.
        assert!((builds(10, 0.4) - 10.0).abs() < 1e-9);
        assert!((builds(1, 0.01) - 1.0).abs() < 1e-9);
    }
}
