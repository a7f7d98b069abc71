import type { Running } from '../process.ts';

/** A server that the benchmark can set up. */
export type Peer = {
  readonly name: string;
  /** Zones of world.ts that it serves. */
  readonly zones: readonly string[];
  /** What it is, in a line: version and how it was set up. Undefined when it is not installed. */
  version(): string | undefined;
  /** Writes its configuration into `folder` and starts it with one answering thread. */
  start(folder: string, world: Files): Promise<Running>;
};

/** What is prepared once for all. */
export type Files = {
  /** The country database with the schema of GeoIP2. */
  readonly geoip2: string;
  /** A TCP port on which every address of the world accepts connections: what health checks connect to. */
  readonly healthPort: number;
};
