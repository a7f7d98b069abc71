/**
 * Limits of latency data, each with its reason. The names have the units.
 */

/** Longer than any path on Earth. A larger number is probably in the wrong unit. */
export const MAX_LATENCY_MS = 60_000;

/** Networks and samples in memory, at most some 100 MB. The network with the oldest last sample is removed first. */
export const MAX_BEACON_NETWORKS = 50_000;
export const MAX_BEACON_SAMPLES = 500_000;
/** Networks (/48) per IPv6 /32. One holder may have the whole /32 and must not displace all other networks. */
export const MAX_NETWORKS_A_BLOCK = 1024;
/**
 * The least number of networks for the median of an AS. A host with addresses in three networks, which clouds rent by
 * the hour, must not steer all clients of a country: it would need more than half of the networks.
 */
export const MIN_AS_NETWORKS = 6;
/** The least number of blocks (IPv4 /16, IPv6 /32) for the median of a country. */
export const MIN_COUNTRY_BLOCKS = 6;
export const MIN_COUNTRY_ASES = 3;
/** The maps are compiled again if a figure changes by more than this, and by more than this share of it. */
export const NOTICEABLE_MS = 2;
export const NOTICEABLE_SHARE = 0.1;

/** The speed of light in fibre, in km per ms: two thirds of the speed in vacuum. */
export const FIBRE_KM_A_MS = (299_792.458 * (2 / 3)) / 1000;
/** The error of a database's point, which may be the nearest large town instead of the client's town. */
export const POINT_SLACK_KM = 100;
