$TTL 1h
@       SOA ns1 hostmaster ( 7 2h 30m 14d 5m )
        NS  ns1
ns1     A   192.0.2.53
@       300 DYNA simplefo!both
@       MX  10 mail
mail    A   192.0.2.25
pair    600/10 DYNA simplefo!pair ; primary and secondary
pool    180 DYNA multifo!pool
shop    60  DYNA weighted!shop
names   60  DYNC weighted!names
backup  60  DYNC metafo!backup
b-dc-a  60  DYNA metafo!backup/dc-a
www     60  DYNA geoip!www
near    60  DYNA geoip!near
who     60  DYNA reflect!dns
gone    60  DYNA weighted!nothing
alias   CNAME www.@Z
