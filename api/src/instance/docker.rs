//! Asks Docker's DNS what the container's own address is called.
//!
//! The system's resolver cannot be asked: `/etc/hosts` in a container gives the container's id.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, Question, TYPE};
use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use super::InstanceName;
use super::container::short_name;

const DOCKER_DNS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns the name that `docker-compose` shows for this container; `None` outside of Docker's networks.
pub(super) async fn name_of_this_container() -> Option<InstanceName> {
    let configuration = tokio::fs::read_to_string("/etc/resolv.conf").await.ok()?;
    if !names_docker_dns(&configuration) {
        return None;
    }
    timeout(PATIENCE, first_name_of_own_addresses())
        .await
        .ok()
        .flatten()
}

fn names_docker_dns(resolv_conf: &str) -> bool {
    let server = DOCKER_DNS.ip().to_string();
    resolv_conf.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver") && words.next() == Some(&server)
    })
}

async fn first_name_of_own_addresses() -> Option<InstanceName> {
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let mut addresses: Vec<_> = lookup_host((host, 0))
        .await
        .ok()?
        .map(|address| address.ip())
        .collect();
    addresses.dedup();
    for address in addresses {
        if let Some(name) = name_of(DOCKER_DNS, address).await {
            return InstanceName::parse(short_name(&name));
        }
    }
    None
}

/// Asks `server` for the name of `address`.
async fn name_of(server: SocketAddr, address: IpAddr) -> Option<String> {
    let question = question(address)?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(&question).await.ok()?;
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer).await.ok()?;
    name_in(&answer[..length])
}

fn question(address: IpAddr) -> Option<Vec<u8>> {
    let name = match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address
                .octets()
                .into_iter()
                .rev()
                .map(|byte| format!("{:x}.{:x}.", byte & 15, byte >> 4));
            nibbles.chain(["ip6.arpa".to_owned()]).collect()
        }
    };
    let mut packet = Packet::new_query(1);
    packet.set_flags(simple_dns::PacketFlag::RECURSION_DESIRED);
    packet.questions.push(Question::new(
        Name::new(&name).ok()?.into_owned(),
        TYPE::PTR.into(),
        CLASS::IN.into(),
        false,
    ));
    packet.build_bytes_vec().ok()
}

fn name_in(answer: &[u8]) -> Option<String> {
    let packet = Packet::parse(answer).ok()?;
    packet
        .answers
        .iter()
        .find_map(|record| match &record.rdata {
            RData::PTR(name) => Some(name.to_string()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::ResourceRecord;
    use simple_dns::rdata::PTR;

    #[test]
    fn docker_dns_is_known_by_its_address() {
        assert!(names_docker_dns(
            "search lan\nnameserver 127.0.0.11\noptions ndots:0\n"
        ));
        assert!(!names_docker_dns(
            "nameserver 127.0.0.1\n# nameserver 127.0.0.11\n"
        ));
        assert!(!names_docker_dns(""));
    }

    /// A server that answers one question with `name`, if it is asked for 172.18.0.3.
    async fn server(name: &'static str) -> SocketAddr {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Packet::parse(&buffer[..length]).unwrap();
            assert_eq!(
                query.questions[0].qname.to_string(),
                "3.0.18.172.in-addr.arpa"
            );
            let mut reply = Packet::new_reply(query.id());
            let data = RData::PTR(PTR(Name::new(name).unwrap()));
            reply.answers.push(ResourceRecord::new(
                query.questions[0].qname.clone(),
                CLASS::IN,
                600,
                data,
            ));
            socket
                .send_to(&reply.build_bytes_vec().unwrap(), client)
                .await
                .unwrap();
        });
        address
    }

    #[tokio::test]
    async fn the_name_of_an_address_is_asked_and_understood() {
        let server = server("my_music_api_2.my_music_default").await;
        let name = name_of(server, "172.18.0.3".parse().unwrap()).await;
        assert_eq!(name.as_deref(), Some("my_music_api_2.my_music_default"));
    }

    #[test]
    fn an_ipv6_address_is_asked_nibble_by_nibble() {
        let question = question("2001:db8::1".parse().unwrap()).unwrap();
        let packet = Packet::parse(&question).unwrap();
        let name = packet.questions[0].qname.to_string();
        assert_eq!(
            name,
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
        );
    }

    #[test]
    fn an_answer_that_is_none_gives_no_name() {
        assert_eq!(name_in(b""), None);
        assert_eq!(name_in(&[0xff; 40]), None);
    }
}
