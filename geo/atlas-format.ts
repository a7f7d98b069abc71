/**
 * Version of the format in which the cache keeps atlases and facts of databases. Raise it with every change to the
 * result for the same databases, networks and latency tables: entries of another version are not read. A test compares
 * the content for a fixed input (test/unit/geo/find-atlas.test.ts), so that no change is overlooked.
 */
export const ATLAS_FORMAT = 3;
