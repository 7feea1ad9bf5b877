//! The page of the form, in plain HTML that needs no script. Pure.

/// What a page shows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Page<'a> {
    /// What went wrong, if anything.
    pub(super) problem: Option<&'a str>,
    /// The name as it was typed.
    pub(super) name: &'a str,
    /// Where to go afterwards.
    pub(super) next: &'a str,
    /// The token against forged requests.
    pub(super) csrf: &'a str,
}

const STYLE: &str = ":root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 22rem; margin: 4rem auto; padding: 0 1rem }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
input { margin: .25rem 0 1rem; padding: .5rem }
button { padding: .5rem; cursor: pointer }
[role=alert] { border-left: .25rem solid #c22; padding-left: .75rem }";

/// Writes the page of the form.
pub(super) fn form(page: Page<'_>) -> String {
    let problem = page.problem.map_or_else(String::new, |problem| {
        format!("<p role=\"alert\">{}</p>\n", escape(problem))
    });
    let body = format!(
        "<h1>Sign in</h1>\n{problem}<form method=\"post\" action=\"/api-auth/login/\">\n\
         <input type=\"hidden\" name=\"csrfmiddlewaretoken\" value=\"{}\">\n\
         <input type=\"hidden\" name=\"next\" value=\"{}\">\n\
         <label for=\"username\">Name</label>\n\
         <input id=\"username\" name=\"username\" value=\"{}\" autocomplete=\"username\" \
         autocapitalize=\"none\" maxlength=\"150\" required autofocus>\n\
         <label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\n\
         <button>Sign in</button>\n</form>\n",
        escape(page.csrf),
        escape(page.next),
        escape(page.name),
    );
    whole("Sign in", &body)
}

/// Writes a page that only says why nothing was done.
pub(super) fn refusal(title: &str, problem: &str) -> String {
    let body = format!(
        "<h1>{}</h1>\n<p role=\"alert\">{}</p>\n<p><a href=\"/api-auth/login/\">Sign in</a></p>\n",
        escape(title),
        escape(problem)
    );
    whole(title, &body)
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{} – Music API</title>\n\
         <style>{STYLE}</style>\n{body}</html>\n",
        escape(title)
    )
}

fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_sent_is_read_as_markup() {
        let odd = "\"><script>alert('1')</script>&";
        let page = form(Page {
            problem: Some(odd),
            name: odd,
            next: odd,
            csrf: odd,
        });
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(
            page.matches("&quot;&gt;&lt;script&gt;alert(&#x27;1&#x27;)")
                .count(),
            4
        );
        assert!(!refusal("403", odd).contains("<script"));
    }
}
