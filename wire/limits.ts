/**
 * Limits of the wire, each with its reason. Units are in the names.
 */

/** RFC 1035 2.3.4: a name, counted in wire octets with its root label. */
export const MAX_NAME_OCTETS = 255;
/** Labels of the longest name, its root not counted: 127 of one octet each. */
export const MAX_LABELS = 127;
/** RFC 1035 2.3.4. */
export const MAX_LABEL_OCTETS = 63;
/** RFC 1035 4.1.1. */
export const HEADER_OCTETS = 12;
/** RFC 1035 4.2.1: what a client without EDNS takes over UDP. */
export const UDP_OCTETS_WITHOUT_EDNS = 512;
/** RFC 9715 3.1: the largest response over UDP that is not likely to be fragmented. */
export const UDP_OCTETS = 1232;
/** RFC 1035 4.2.2: the length in front of a TCP message has two octets. */
export const TCP_OCTETS = 65_535;
/** RFC 8467 4.1: responses that are padded are a multiple of this. */
export const PADDED_OCTETS = 468;
/** RFC 2181 8: a TTL is an unsigned number of 31 bits. */
export const MAX_TTL_SECONDS = 0x7fff_ffff;
/** RFC 1035 4.1.4: a compression pointer has 14 bits. */
export const MAX_POINTER = 0x3fff;
/** CNAME and DNAME links followed for one query. NSD died on a chain of 10,500; resolvers stop near this one. */
export const MAX_CHAIN_LINKS = 16;
/** Data of one record. RFC 1035 3.2.1: RDLENGTH has 16 bits. */
export const MAX_RDATA_OCTETS = 65_535;
/** VIPs of one service: the packet path's work is proportional to it. */
export const MAX_VIPS = 256;
/** VIPs in one answer, as SPEC 4 has it for a number (`all` goes to MAX_VIPS). */
export const MAX_ANSWERS = 8;
