//! From the name that Docker's DNS gives a container to the name that `docker-compose` shows for it. Pure.
//!
//! `PROJECT_api_2.PROJECT_default` is `api_2`, and `PROJECT-api-2.PROJECT_default` (Compose v2) is `api-2`.
//! A project's name may itself hold `_` and `-`: the network's name tells where it ends.

/// Returns the name without its project: `SERVICE_N` or `SERVICE-N`, or the whole name if it is not of that form.
pub(super) fn short_name(dns_name: &str) -> &str {
    let dns_name = dns_name.trim_end_matches('.');
    let (container, network) = dns_name.split_once('.').unwrap_or((dns_name, ""));
    without_project_of(container, network)
        .or_else(|| last_two_parts(container))
        .unwrap_or(container)
}

/// Takes away the longest beginning of the network's name that leaves `SERVICE_N`.
fn without_project_of<'name>(container: &'name str, network: &str) -> Option<&'name str> {
    // Compose names a network PROJECT_NETWORK, whatever it puts between the parts of a container's name.
    network.rmatch_indices('_').find_map(|(end, _)| {
        let rest = container.strip_prefix(network.get(..end)?)?;
        let rest = rest.strip_prefix(['_', '-'])?;
        last_two_parts(rest).map(|_| rest)
    })
}

/// Returns `SERVICE_N` out of `ANYTHING_SERVICE_N`, for a network that is not named after the project.
fn last_two_parts(container: &str) -> Option<&str> {
    let (before, number) = container.rsplit_once(['_', '-'])?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let start = before
        .rfind(['_', '-'])
        .map_or(0, |separator| separator + 1);
    (is_number && start < before.len()).then(|| &container[start..])
}

#[cfg(test)]
mod tests {
    use super::short_name;

    #[test]
    fn the_project_is_taken_away() {
        for (dns_name, expected) in [
            ("music_api_1.music_default.", "api_1"),
            ("music-api-2.music_default.", "api-2"),
            ("my_music_api2_1.my_music_default.", "api2_1"),
            ("my-music-api-12.my-music_default.", "api-12"),
            ("my_music-v2_api_3.my_music-v2_back_net.", "api_3"),
            // The service's own name may hold a separator.
            ("music_web_api_1.music_default.", "web_api_1"),
            ("music-web-api-1.music_default.", "web-api-1"),
            // A network's own name may look like part of a container's.
            ("music_back_1.music_back_net.", "back_1"),
            // A network that somebody else named: the last two parts.
            ("music_api_1.shared.", "api_1"),
            ("a_b-api-1.shared.", "api-1"),
            ("music_api_1", "api_1"),
            // Not made by compose, or named by hand.
            ("api.music_default.", "api"),
            ("api.", "api"),
            (
                "music_api_run_0a1b2c.music_default.",
                "music_api_run_0a1b2c",
            ),
            ("_1.x.", "_1"),
            ("", ""),
        ] {
            assert_eq!(short_name(dns_name), expected, "{dns_name}");
        }
    }
}
