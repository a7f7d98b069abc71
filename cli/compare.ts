/**
 * `pharos compare --server A --server B ZONE`: asks two name servers for every name and type of a zone, for a sample of
 * clients, and prints what differs.
 */
import { lookup } from 'node:dns/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { NO_CACHE } from '../config/cache-entry.ts';
import { createReport, hasErrors } from '../config/diagnostics.ts';
import { MAX_TEXT_OCTETS } from '../config/limits.ts';
import { nearestHint } from '../config/nearest-word.ts';
import { readRegularFile } from '../config/read-file.ts';
import { messageOf } from '../config/unknown-values.ts';
import { viewAtlas } from '../geo/atlas-view.ts';
import { findAtlas } from '../geo/find-atlas.ts';
import { openGeography } from '../geo/geography.ts';
import { parseAddress, parseEndpoint, type Endpoint } from '../wire/address.ts';
import { encodeQuery } from '../wire/message.ts';
import { formatName, nameKey, type Name } from '../wire/name.ts';
import type { TsigKey } from '../wire/tsig.ts';
import { TYPE } from '../wire/types.ts';
import { loadWithZones, type LoadedGeneration } from '../zones/load-generation.ts';
import { readMasterFile } from '../zones/read/master-file.ts';
import type { ZoneModel } from '../zones/read/model.ts';
import { createRecordStore, ownerOf, recordType, type RecordStore } from '../zones/read/record-store.ts';
import { compareServers } from './compare/compare-servers.ts';
import { openDnsClient, type DnsClient } from './compare/dns-client.ts';
import type { Kind } from './compare/kinds.ts';
import { parseClients, sampleClients, type Client, type PlacedAtlas } from './compare/sample-clients.ts';
import { transferZone } from './compare/transfer-zone.ts';
import { addKnown, questionsOf, type KnownNames } from './compare/zone-names.ts';
import { loadInputFor } from './load-input.ts';
import { nameArgument } from './name-argument.ts';
import { EXIT, fail, showDiagnostics, type Output } from './output.ts';
import { DNS_PORT } from './parent-ds.ts';
import { startProgress } from './progress.ts';
import { comparisonDocument, isSame, renderComparison } from './render-comparison.ts';

/** As on the command line. */
export type CompareOptions = {
  readonly zone: string;
  readonly servers: readonly string[];
  readonly config: string | undefined;
  readonly file: string | undefined;
  readonly axfr: boolean;
  readonly key: TsigKey | undefined;
  /** A file with clients; undefined: a sample. */
  readonly clients: string | undefined;
  /** Clients per country and family. */
  readonly sample: number;
  readonly seed: number;
  readonly everyClient: boolean;
  readonly repeats: number;
  readonly inFlight: number;
  readonly timeoutMs: number;
  readonly ignored: ReadonlySet<Kind>;
  readonly json: boolean;
};

/** A reason that ends the command, for a person. */
class Failure extends Error {}

export async function compareCommand(options: CompareOptions, output: Output): Promise<number> {
  const apex = nameArgument(options.zone);
  if (!apex) return fail('compare', `${options.zone} is not a domain name`, EXIT.USAGE, output);
  const [a, b, ...more] = options.servers;
  if (a === undefined || b === undefined || more.length > 0) {
    return fail('compare', 'two servers are needed: --server A --server B', EXIT.USAGE, output);
  }
  if (options.config === undefined && options.file === undefined && !options.axfr) {
    const message = 'the names of the zone are needed: --config FILE, --file FILE, or --axfr';
    return fail('compare', message, EXIT.USAGE, output);
  }
  try {
    return await compareZone(apex, [a, b], options, output);
  } catch (error) {
    if (error instanceof Failure) return fail('compare', error.message, EXIT.FAILED, output);
    throw error;
  }
}

async function compareZone(
  apex: Name,
  [a, b]: readonly [string, string],
  options: CompareOptions,
  output: Output,
): Promise<number> {
  const steps = ['Reading the names of the zone', 'Choosing clients', 'Asking both servers'];
  using progress = startProgress(steps, output);
  const endpoints = await Promise.all([endpointOf(a), endpointOf(b)]);
  using clientA = await openClient(a, endpoints[0], options.timeoutMs);
  using clientB = await openClient(b, endpoints[1], options.timeoutMs);
  for (const [server, client] of [
    [a, clientA],
    [b, clientB],
  ] as const)
    await reachServer(server, client, apex);
  const names: KnownNames = new Map();
  const generation = options.config === undefined ? undefined : fromConfig(apex, options.config, names, output);
  if (options.file !== undefined) fromMasterFile(apex, options.file, names, output);
  if (options.axfr) await fromTransfers(apex, endpoints, options, names, output);
  progress.next();
  const clients = clientsFor(options, generation, output);
  progress.next();
  const questions = questionsOf(apex, names, options.seed);
  const { repeats, inFlight, ignored, everyClient } = options;
  const request = { a: clientA, b: clientB, questions, clients, inFlight, repeats, ignored, everyClient };
  const comparison = await compareServers(request);
  const compared = {
    zone: formatName(apex),
    ...{ a, b, names: names.size, questions: questions.length, clients: clients.length, seed: options.seed },
    queries: clientA.sent() + clientB.sent(),
    comparison,
  };
  output.out(
    options.json
      ? JSON.stringify(comparisonDocument(compared), undefined, 2)
      : renderComparison(compared, output.style),
  );
  return isSame(compared) ? EXIT.OK : EXIT.FAILED;
}

/** `192.0.2.1`, `[2001:db8::1]:53` or `ns1.example.com:53`; a name is looked up. */
async function endpointOf(server: string): Promise<Endpoint> {
  const endpoint = parseEndpoint(server, DNS_PORT);
  if (endpoint) return endpoint;
  const [, host = '', port = String(DNS_PORT)] = /^([^:]+)(?::(\d{1,5}))?$/.exec(server) ?? [];
  if (host === '' || Number(port) > 65_535 || parseAddress(host))
    throw new Failure(`"${server}" is not a server: write ADDRESS or ADDRESS:PORT`);
  try {
    return { host: (await lookup(host)).address, port: Number(port) };
  } catch (error) {
    throw new Failure(`cannot find the address of ${host}: ${messageOf(error)}`, { cause: error });
  }
}

async function openClient(server: string, endpoint: Endpoint, timeoutMs: number): Promise<DnsClient> {
  try {
    return await openDnsClient({ endpoint, timeoutMs });
  } catch (error) {
    throw new Failure(`cannot reach ${server}: ${messageOf(error)}`, { cause: error });
  }
}

async function reachServer(server: string, client: DnsClient, apex: Name): Promise<void> {
  const reply = await client.ask(encodeQuery(apex, TYPE.SOA));
  if (!reply.ok) throw new Failure(`cannot reach ${server}: ${reply.why}`);
}

/** The names of a zone of a configuration, or of a zone file. */
function fromConfig(apex: Name, path: string, names: KnownNames, output: Output): LoadedGeneration {
  const loaded = loadZones(path, output);
  const zone = loaded.zones.find((each) => nameKey(each.apex) === nameKey(apex));
  if (!zone) {
    const known = loaded.zones.map((each) => formatName(each.apex));
    throw new Failure(`${path} has no zone ${formatName(apex)}; ${nearestHint(formatName(apex), known)}`);
  }
  addRows(apex, zone.records, names);
  for (const { owner } of zone.aliases ?? []) addKnown(names, apex, owner, [TYPE.A, TYPE.AAAA]);
  for (const { owner, vips } of zone.services) {
    const types = vips.flatMap(({ a, aaaa, cname, svcb, rrsets = [] }) => [
      ...rrsets.map(({ type }) => type),
      ...(a ? [TYPE.A] : []),
      ...(aaaa ? [TYPE.AAAA] : []),
      ...(cname ? [TYPE.A, TYPE.AAAA, TYPE.CNAME] : []),
      ...(svcb ? [TYPE.HTTPS] : []),
    ]);
    addKnown(names, apex, owner, types);
  }
  return loaded.generation;
}

type Loaded = { readonly generation: LoadedGeneration; readonly zones: readonly ZoneModel[] };

function loadZones(path: string, output: Output): Loaded {
  using folder = configurationOf(path);
  const outcome = loadWithZones({ ...loadInputFor(folder.file), needsPlaces: true });
  if (outcome.ok) return outcome.value;
  showDiagnostics(outcome.diagnostics, output);
  const hint = folder.file === path ? '' : ': if its regions or checks are in a configuration, give that to --config';
  throw new Failure(`cannot read ${path}${hint}`);
}

/** A configuration file, or for a zone file one that has this zone only. */
function configurationOf(path: string): { readonly file: string } & Disposable {
  let text = '';
  try {
    text = readRegularFile(path, { maxOctets: MAX_TEXT_OCTETS }).octets.toString('latin1');
  } catch {
    // loadWithZones says why.
  }
  if (!/^zone[ \t]*:/m.test(text)) return { file: path, [Symbol.dispose]: () => undefined };
  const folder = mkdtempSync(join(tmpdir(), 'pharos-compare-'));
  const file = join(folder, 'pharos.yaml');
  writeFileSync(file, `zones: [${JSON.stringify(resolve(path))}]\n`);
  return {
    file,
    [Symbol.dispose]: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** For records without a TTL, which do not matter here. */
const ANY_TTL_SECONDS = 3600;

function fromMasterFile(apex: Name, path: string, names: KnownNames, output: Output): void {
  const [store, report] = [createRecordStore(), createReport()];
  // Records of one program only (ALIAS, LUA) have an owner to ask for all the same.
  const leavesOut = (owner: Name): boolean => {
    addKnown(names, apex, owner, []);
    return true;
  };
  readMasterFile({ path, origin: apex, defaultTtlSeconds: ANY_TTL_SECONDS, store, report, leavesOut });
  if (hasErrors(report.diagnostics)) {
    showDiagnostics(report.diagnostics, output);
    throw new Failure(`cannot read ${path}`);
  }
  addRows(apex, store, names);
}

function addRows(apex: Name, store: RecordStore, names: KnownNames): void {
  for (let row = 0; row < store.count; row++) addKnown(names, apex, ownerOf(store, row), [recordType(store, row)]);
}

/** One of the servers must give the zone; the other may refuse. */
async function fromTransfers(
  apex: Name,
  endpoints: readonly Endpoint[],
  { key, timeoutMs }: CompareOptions,
  names: KnownNames,
  output: Output,
): Promise<void> {
  const add = ({ owner, type }: { readonly owner: Name; readonly type: number }): void => {
    addKnown(names, apex, owner, [type]);
  };
  const done = await Promise.allSettled(
    endpoints.map((endpoint) => transferZone(endpoint, { apex, key, timeoutMs }, add)),
  );
  const why = done.flatMap((each) => (each.status === 'rejected' ? messageOf(each.reason) : []));
  if (why.length === endpoints.length) throw new Failure(why.join('\n  '));
  for (const each of why) output.error(`pharos compare: ${each}; the names are those of the other server`);
}

function clientsFor(
  { clients: path, sample, seed }: CompareOptions,
  generation: LoadedGeneration | undefined,
  output: Output,
): readonly Client[] {
  if (path !== undefined) {
    let text: string;
    try {
      text = readRegularFile(path, { maxOctets: MAX_TEXT_OCTETS }).octets.toString();
    } catch (error) {
      throw new Failure(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
    }
    const clients = parseClients(text);
    if (typeof clients === 'string') throw new Failure(`${path}: ${clients}`);
    return clients;
  }
  if (sample === 0) return [];
  return sampleClients(
    generation ? { ...viewAtlas(generation.atlas), places: generation.locations } : bundledAtlas(output),
    sample,
    seed,
  );
}

/** The places of the bundled database. */
function bundledAtlas(output: Output): PlacedAtlas {
  const report = createReport();
  const { sources } = openGeography({ databases: [] }, report);
  const allocate = (octets: number): SharedArrayBuffer => new SharedArrayBuffer(octets);
  const inputs = { networks: [], operator: new Map(), latency: [] };
  const { atlas } = findAtlas(inputs, { sources, cache: NO_CACHE, inUse: undefined, allocate });
  if (hasErrors(report.diagnostics)) showDiagnostics(report.diagnostics, output);
  return atlas;
}
