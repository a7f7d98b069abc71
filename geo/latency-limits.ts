/**
 * Limits of latency data, each with its reason. Units are in the names.
 */

/** Longer than any path on Earth takes: a larger number is a mistake of unit. */
export const MAX_LATENCY_MS = 60_000;

/** Networks whose samples are kept, and samples in all: some 100 MB at most. The network longest unheard goes first. */
export const MAX_BEACON_NETWORKS = 50_000;
export const MAX_BEACON_SAMPLES = 500_000;
/** Networks (/48) of one /32 of IPv6, which may be one holder's: he must not push out all others. */
export const MAX_NETWORKS_A_BLOCK = 1024;
/**
 * What the median of an AS or a country needs at least. A host with addresses in three networks, which a cloud rents out by
 * the hour, must not steer all clients of a country: it would need most of so many.
 */
export const MIN_AS_NETWORKS = 6;
/** /16s and /32s. */
export const MIN_COUNTRY_BLOCKS = 6;
export const MIN_COUNTRY_ASES = 3;
/** A change of a figure that is worth compiling the maps anew: more than this, and more than this share of it. */
export const NOTICEABLE_MS = 2;
export const NOTICEABLE_SHARE = 0.1;

/** Light in fibre, at two thirds of its speed in vacuum. */
export const FIBRE_KM_A_MS = (299_792.458 * (2 / 3)) / 1000;
/** How far off a database's point may be: the nearest large town instead of the client's. */
export const POINT_SLACK_KM = 100;
