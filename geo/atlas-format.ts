/**
 * The number of the form in which atlases and facts of databases are kept. Raise it with every change to what is made
 * of the same databases, networks and latency tables: an entry of another number is not read. A test compares the
 * content for a fixed input (test/unit/geo/find-atlas.test.ts), so that no change is overlooked.
 */
export const ATLAS_FORMAT = 1;
