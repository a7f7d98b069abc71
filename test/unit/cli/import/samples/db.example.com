; The zone of a small company, as it stands in /etc/bind.
$TTL 1h
@       IN SOA ns1 hostmaster (
                2026112001 ; serial
                2h 30m 14d 5m )
        IN NS  ns1
        IN NS  ns2.example.net.
        IN MX  10 mail
        IN MX  20 mail.example.net.
        300 IN A 192.0.2.10
        IN TXT "v=spf1 mx -all"
        IN CAA 0 issue "ca.example.net"
ns1     IN A   192.0.2.53
        IN AAAA 2001:db8::53
mail    IN A   192.0.2.25
        60 IN AAAA 2001:db8::25
www     300 IN CNAME @
*.dev   IN CNAME www
text    IN TXT "one" "two; three" "${HOME} is no variable"
quoted  IN TXT "she said \"no\" \\ yes\233"
empty   IN TXT ""
odd\.label IN A 192.0.2.77
_sip._tcp IN SRV 10 60 5060 mail
old     IN TYPE65400 \# 4 deadbeef
null    IN TXT null
yes     IN A 192.0.2.78
123     IN A 192.0.2.79
$ORIGIN sub.example.com.
@       IN NS ns.sub.example.com.
        IN NS ns1.example.com.
ns      IN A 192.0.2.60
$ORIGIN example.com.
$GENERATE 1-3 host$ A 192.0.2.20$
