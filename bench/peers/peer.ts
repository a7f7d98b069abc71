import type { Running } from '../../test/support/server-process.ts';
import type { Zone } from '../world.ts';

export type Transport = 'udp' | 'tcp' | 'tls';

/** A server that the benchmark can set up. */
export type Peer = {
  readonly name: string;
  /** Zones that it can serve. */
  readonly kinds: readonly Zone['kind'][];
  /** Limit for static zones; larger ones are measured only with the other servers. Undefined: no limit. */
  readonly maxNames?: number;
  readonly transports: readonly Transport[];
  /** Whether it can sign steered zones. */
  readonly signs?: boolean;
  /** Its version and set-up in one line. Undefined if it is not installed. */
  version(): string | undefined;
  /** Writes its configuration for these zones into `folder` and starts it with one answering thread. */
  start(folder: string, zones: readonly Zone[], files: Files): Promise<Running>;
};

/** Files and ports that are prepared once for all servers. */
export type Files = {
  /** The country database with the schema of GeoIP2. */
  readonly geoip2: string;
  /** A TCP port on which every address of the world accepts connections, for health checks. */
  readonly healthPort: number;
  /** PEM files of a self-signed certificate. */
  readonly tls: { readonly cert: string; readonly key: string };
};

export function canServe({ kinds, maxNames = Infinity, signs = false }: Peer, zone: Zone): boolean {
  if (isSigned(zone) && !signs) return false;
  return kinds.includes(zone.kind) && (zone.kind !== 'static' || zone.names <= maxNames);
}

/** Whether a zone of this kind must be configured. */
export function hasKind(zones: readonly Zone[], kind: Zone['kind']): boolean {
  return zones.some((zone) => zone.kind === kind);
}

export function isSigned(zone: Zone): boolean {
  return zone.kind !== 'static' && zone.isSigned === true;
}
