//! A page as a browser without scripts sees it: its text, its links, its forms and what they send.

use std::collections::BTreeMap;

use http::{Method, Request, header};
use tl::{HTMLTag, Node, Parser, ParserOptions, VDom};

use crate::support::{Answer, Api, Client};

/// A browser: it keeps cookies, says where its forms come from, and takes HTML.
pub(crate) struct Browser {
    client: Client,
    cookies: BTreeMap<String, String>,
    origin: String,
}

/// A page that was answered.
pub(crate) struct Seen {
    pub(crate) answer: Answer,
    html: String,
}

/// A form with its values, ready to be filled in and sent.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) method: String,
    pub(crate) action: String,
    pub(crate) values: Vec<(String, String)>,
}

impl Browser {
    pub(crate) async fn open(api: &Api) -> Self {
        Self {
            client: api.connect().await,
            cookies: BTreeMap::new(),
            origin: "http://music.test".into(),
        }
    }

    /// Takes over a browser's cookies to another site, from which its forms then come.
    pub(crate) fn lured_to(mut self, origin: &str) -> Self {
        self.origin = origin.into();
        self
    }

    /// Returns the header that its cookies make.
    pub(crate) fn cookies(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    pub(crate) async fn get(&mut self, path: &str) -> Seen {
        self.ask(Method::GET, path, None).await
    }

    /// Sends a form with one of its buttons.
    pub(crate) async fn send(&mut self, form: &Form, button: &str) -> Seen {
        let mut fields = form_urlencoded::Serializer::new(String::new());
        fields.extend_pairs(&form.values);
        if !button.is_empty() {
            fields.append_pair("_method", button);
        }
        let fields = fields.finish();
        match form.method.as_str() {
            "post" => self.ask(Method::POST, &form.action, Some(fields)).await,
            _ => {
                let path = format!("{}?{fields}", form.action);
                self.ask(Method::GET, &path, None).await
            }
        }
    }

    /// Sends a form as it is written here.
    pub(crate) async fn send_raw(&mut self, path: &str, body: &str) -> Seen {
        self.ask(Method::POST, path, Some(body.to_owned())).await
    }

    /// Signs in by the form.
    pub(crate) async fn log_in(&mut self, name: &str, password: &str, next: &str) -> Seen {
        let page = self.get(&format!("/api-auth/login/?next={next}")).await;
        let form = page.form("password");
        let form = form.with("username", name).with("password", password);
        self.send(&form, "").await
    }

    async fn ask(&mut self, method: Method, path: &str, form: Option<String>) -> Seen {
        let cookies = self.cookies();
        let mut request = Request::builder()
            .method(&method)
            .uri(path)
            .header(header::HOST, "music.test")
            .header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8")
            .header(header::COOKIE, cookies);
        if form.is_some() {
            request = request
                .header(header::ORIGIN, &self.origin)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = form.unwrap_or_default();
        let answer = self.client.send(request.body(body.into()).unwrap()).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match value {
                "\"\"" => drop(self.cookies.remove(name)),
                value => drop(self.cookies.insert(name.into(), value.into())),
            }
        }
        let html = answer.text().to_owned();
        Seen { answer, html }
    }
}

impl Form {
    /// Fills in a field that the form has.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let field = self.values.iter_mut().find(|(known, _)| known == name);
        field.unwrap_or_else(|| panic!("no field {name}")).1 = value.into();
        self
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let field = self.values.iter().find(|(known, _)| known == name);
        &field.unwrap_or_else(|| panic!("no field {name}")).1
    }
}

impl Seen {
    pub(crate) fn status(&self) -> u16 {
        self.answer.status.as_u16()
    }

    fn dom(&self) -> VDom<'_> {
        tl::parse(&self.html, ParserOptions::default()).unwrap()
    }

    /// Returns the text of all elements that a selector finds: one, or the name of an element inside of one.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.each(selector, |tag, parser| {
            Some(plain(&tag.inner_text(parser)).trim().to_owned())
        })
    }

    /// Returns an attribute of all elements that a selector finds.
    pub(crate) fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        self.each(selector, |tag, _| attribute(tag, name))
    }

    fn each(
        &self,
        selector: &str,
        read: impl for<'a> Fn(&HTMLTag<'a>, &Parser<'a>) -> Option<String>,
    ) -> Vec<String> {
        let dom = self.dom();
        let parser = dom.parser();
        let (outer, inner) = selector.split_once(' ').unwrap_or((selector, ""));
        let found = dom.query_selector(outer).unwrap();
        let tags = found.filter_map(|node| node.get(parser)?.as_tag());
        let mut all = Vec::new();
        for tag in tags {
            if inner.is_empty() {
                all.extend(read(tag, parser));
                continue;
            }
            let children = tag.children();
            let inside = children.all(parser).iter().filter_map(Node::as_tag);
            let named = inside.filter(|tag| tag.name().as_utf8_str() == inner);
            all.extend(named.filter_map(|tag| read(tag, parser)));
        }
        all
    }

    /// Returns the JSON that the page shows, as it would be copied from it.
    pub(crate) fn json(&self) -> serde_json::Value {
        let shown = self.texts("pre").concat();
        serde_json::from_str(&shown).unwrap_or_else(|_| panic!("no JSON: {}", self.html))
    }

    /// Tells whether there is a form with this field or button.
    pub(crate) fn has_form(&self, field: &str) -> bool {
        self.forms().iter().any(|form| holds(form, field))
    }

    /// Returns the form that has this field or button.
    pub(crate) fn form(&self, field: &str) -> Form {
        let found = self.forms().into_iter().find(|form| holds(form, field));
        let mut form = found.unwrap_or_else(|| panic!("no form with {field}: {}", self.html));
        form.values.retain(|(name, _)| !name.starts_with("button "));
        form
    }

    fn forms(&self) -> Vec<Form> {
        let dom = self.dom();
        let parser = dom.parser();
        let found = dom.query_selector("form").unwrap();
        let forms = found.filter_map(|node| node.get(parser)?.as_tag());
        forms.map(|form| read(form, parser)).collect()
    }
}

fn holds(form: &Form, field: &str) -> bool {
    let button = format!("button {field}");
    form.values
        .iter()
        .any(|(name, _)| name == field || *name == button)
}

fn read<'a, 'b>(form: &'b HTMLTag<'a>, parser: &'b Parser<'a>) -> Form {
    let mut values = Vec::new();
    let children = form.children();
    for node in children.all(parser) {
        let Some(tag) = node.as_tag() else { continue };
        let name = attribute(tag, "name");
        let value = attribute(tag, "value").unwrap_or_default();
        match (&*tag.name().as_utf8_str(), name) {
            ("input", Some(name)) => {
                let is_box = attribute(tag, "type").as_deref() == Some("checkbox");
                if !is_box || tag.attributes().get("checked").is_some() {
                    values.push((name, value));
                }
            }
            ("textarea", Some(name)) => {
                let text = plain(&tag.inner_text(parser));
                values.push((name, text.strip_prefix('\n').unwrap_or(&text).to_owned()));
            }
            ("select", Some(name)) => values.push((name, chosen(tag, parser))),
            ("button", Some(_)) => values.push((format!("button {value}"), String::new())),
            _ => {}
        }
    }
    Form {
        method: attribute(form, "method").unwrap_or_default(),
        action: attribute(form, "action").unwrap_or_default(),
        values,
    }
}

fn chosen<'a, 'b>(select: &'b HTMLTag<'a>, parser: &'b Parser<'a>) -> String {
    let children = select.children();
    let options = children.all(parser).iter().filter_map(Node::as_tag);
    let options: Vec<_> = options
        .filter(|tag| tag.name().as_utf8_str() == "option")
        .collect();
    let is_selected = |tag: &&&HTMLTag<'_>| tag.attributes().get("selected").is_some();
    let option = options.iter().find(is_selected).or(options.first());
    option.map_or_else(String::new, |option| {
        attribute(option, "value").unwrap_or_else(|| plain(&option.inner_text(parser)))
    })
}

fn attribute(tag: &HTMLTag<'_>, name: &str) -> Option<String> {
    let value = tag.attributes().get(name)??;
    Some(plain(&value.as_utf8_str()))
}

/// Reads the characters that a page writes as entities.
fn plain(text: &str) -> String {
    let known = [
        ("&lt;", '<'),
        ("&#60;", '<'),
        ("&gt;", '>'),
        ("&#62;", '>'),
        ("&quot;", '"'),
        ("&#34;", '"'),
        ("&#39;", '\''),
        ("&#38;", '&'),
        ("&amp;", '&'),
    ];
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let entity = known
            .iter()
            .find(|(entity, _)| rest[at..].starts_with(entity));
        let (entity, character) = entity.unwrap_or(&("&", '&'));
        out.push(*character);
        rest = &rest[at + entity.len()..];
    }
    out + rest
}
