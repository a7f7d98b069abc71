/**
 * Limits of the DNS wire format, each with its reason. The names end in the units.
 */

/** RFC 1035 2.3.4: a name, counted in wire octets with its root label. */
export const MAX_NAME_OCTETS = 255;
/** Labels of the longest name, without the root: 127 of one octet each. */
export const MAX_LABELS = 127;
/** RFC 1035 2.3.4. */
export const MAX_LABEL_OCTETS = 63;
/** RFC 1035 4.1.1. */
export const HEADER_OCTETS = 12;
/** RFC 1035 4.2.1: the largest UDP message that a client without EDNS accepts. */
export const UDP_OCTETS_WITHOUT_EDNS = 512;
/** RFC 9715 3.1: the largest UDP response that is unlikely to be fragmented. */
export const UDP_OCTETS = 1232;
/** RFC 1035 4.2.2: the length in front of a TCP message has two octets. */
export const TCP_OCTETS = 65_535;
/** RFC 8467 4.1: the length of a padded response is a multiple of this. */
export const PADDED_OCTETS = 468;
/** RFC 2181 8: a TTL is an unsigned number of 31 bits. */
export const MAX_TTL_SECONDS = 0x7fff_ffff;
/** RFC 1035 4.1.4: a compression pointer has 14 bits. */
export const MAX_POINTER = 0x3fff;
/**
 * CNAME and DNAME links followed for one query. NSD crashed on a chain of 10,500 links; resolvers stop near this limit.
 */
export const MAX_CHAIN_LINKS = 16;
/** RFC 1035 3.2.1: RDLENGTH has 16 bits. */
export const MAX_RDATA_OCTETS = 65_535;
/** Largest number of VIPs of a service: the work per query is proportional to it. */
export const MAX_VIPS = 256;
/** Largest number of types of a service besides A, AAAA and CNAME: each has a bit in the tables of steering. */
export const MAX_OTHER_TYPES = 15;
/** Largest number of VIPs in an answer, if `answers` is a number (docs/steering.md#keys). `all` allows MAX_VIPS. */
export const MAX_ANSWERS = 8;
/** Largest number of decisions for one answer after the first, where VIPs are services. */
export const MAX_INNER_DEPTH = 8;
/**
 * Largest number of VIPs that a service leads to over VIPs that are services, counted on each way: a query may read the
 * states of all of them.
 */
export const MAX_INNER_VIPS = 1024;
/** Largest number of different services that it leads to: signatures have 8 bits for them. */
export const MAX_INNER_SERVICES = 255;
