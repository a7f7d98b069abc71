/**
 * Resolves host names of probes. `getaddrinfo` supports /etc/hosts and search domains, but it blocks one of few threads
 * while a resolver is slow, and one slow name must not delay other probes. So few look-ups run at once, one per name,
 * and the last good addresses are used while a new look-up is slow or fails.
 */
import { lookup, type LookupAddress } from 'node:dns';
import { closeSync, openSync } from 'node:fs';
import { isIP, type LookupFunction } from 'node:net';
import { performance } from 'node:perf_hooks';
import { LOOKUP_FRESH_MS, LOOKUP_STALE_MS, MAX_LOOKUPS } from '../limits.ts';

type Done = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void;
export type Resolve = (name: string, done: Done) => void;

/** A look-up with a cache; `resolve` asks the system. */
export function createLookup(resolve: Resolve, now: () => number): Resolve {
  const known = new Map<string, { addresses: readonly LookupAddress[]; atMs: number }>();
  const asking = new Map<string, Done[]>();
  const queue: string[] = [];
  let running = 0;

  const next = (): void => {
    while (running < MAX_LOOKUPS) {
      const name = queue.shift();
      if (name === undefined) return;
      running += 1;
      resolve(name, (error, addresses) => {
        running -= 1;
        const waiting = asking.get(name) ?? [];
        asking.delete(name);
        if (error === null && addresses.length > 0) known.set(name, { addresses, atMs: now() });
        for (const done of waiting) done(error, addresses);
        next();
      });
    }
  };

  return (name, done) => {
    const old = known.get(name);
    const ageMs = old === undefined ? Infinity : now() - old.atMs;
    if (old !== undefined && ageMs < LOOKUP_STALE_MS) {
      done(null, old.addresses);
      if (ageMs < LOOKUP_FRESH_MS || asking.has(name)) return;
      asking.set(name, []);
      queue.push(name);
    } else {
      if (old !== undefined) known.delete(name);
      const waiting = asking.get(name);
      if (waiting === undefined) {
        asking.set(name, [done]);
        queue.push(name);
      } else waiting.push(done);
    }
    next();
  };
}

const resolveHost = createLookup(
  (name, done) => {
    lookup(name, { all: true }, (error, addresses) => {
      if (error === null) done(null, addresses);
      else done(descriptorError() ?? error, []);
    });
  },
  () => performance.now(),
);

/**
 * The error if this process cannot open a file. The C library needs descriptors for its configuration and its queries,
 * and reports their lack as a name that does not exist or a resolver that does not respond.
 */
function descriptorError(): NodeJS.ErrnoException | undefined {
  try {
    closeSync(openSync('/dev/null', 'r'));
    return undefined;
  } catch (error) {
    return error as NodeJS.ErrnoException;
  }
}

/** For the `lookup` option of sockets and requests. */
export const lookupHost: LookupFunction = (name, options, done) => {
  resolveHost(name, (error, addresses) => {
    const first = addresses[0];
    // Sockets expect the callback after the call has returned.
    process.nextTick(() => {
      if (error !== null || first === undefined) done(error ?? notFound(name), '', 0);
      else if (options.all === true) done(null, [...addresses]);
      else done(null, first.address, first.family);
    });
  });
};

/** The address of a host name, or the address itself. Rejects if there is none. */
export function hostAddress(host: string): Promise<{ readonly address: string; readonly family: number }> {
  const family = isIP(host);
  if (family !== 0) return Promise.resolve({ address: host, family });
  return new Promise((resolve, reject) => {
    resolveHost(host, (error, addresses) => {
      const first = addresses[0];
      if (error !== null || first === undefined) reject(error ?? notFound(host));
      else resolve(first);
    });
  });
}

function notFound(name: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`no address for ${name}`), { code: 'ENOTFOUND' });
}
