/**
 * Answers zones in-process: files in a temporary folder, compiled as in the server, queried through `answer`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { formatDiagnostic } from '../../config/diagnostics.ts';
import {
  createHealthTable,
  FORCED,
  NEVER_SECONDS,
  packState,
  PROBED,
  viewHealthTable,
} from '../../health/health-table.ts';
import type { Forced, HealthTable, Probed } from '../../health/health-table.ts';
import type { Answerer } from '../../server/answer/answer-state.ts';
import { answer } from '../../server/answer/answer.ts';
import { createAnswererState, type AnswererPayload } from '../../server/answer/answerer.ts';
import type { PacketClock } from '../../server/answer/packet-time.ts';
import { packetOf, TRANSPORT } from '../../server/contract.ts';
import { parseAddress } from '../../wire/address.ts';
import {
  loadGeneration,
  type GeographyInUse,
  type LoadedGeneration,
  type LoadInput,
} from '../../zones/load-generation.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';
import { packGeneration } from '../../zones/packed-generation.ts';
import { decodeMessage, encodeQuery, type DecodedMessage, type QueryOptions } from './message.ts';
import { writeMmdb } from './mmdb.ts';

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** For tests without geography. */
export const NO_GEOGRAPHY: Files = {
  'pharos.yaml': 'geo: { databases: [small.mmdb] }\n',
  'small.mmdb': writeMmdb([['192.0.2.0/24', { country: { iso_code: 'KR' } }]]),
};

/** A temporary folder with these files; removed at the end of the block. */
export function folderOf(files: Files): { readonly path: string; readonly [Symbol.dispose]: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'pharos-test-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true });
    },
  };
}

let kept: GeographyInUse | undefined;

/** The bundled database and its atlas, compiled once in a process: that takes a third of a second of CPU time. */
export function bundledGeography(): GeographyInUse {
  if (kept) return kept;
  // Without a service no database is loaded.
  const text = 'zone: a\nnameservers: [ns.b.]\nservices: { c: { vips: { d: { A: 192.0.2.1 } } } }\n';
  using folder = folderOf({ 'zones/a.yaml': text });
  const outcome = loadGeneration({ file: undefined, cwd: folder.path, env: {}, cores: 1 });
  if (!outcome.ok) throw new Error(outcome.diagnostics.map(formatDiagnostic).join('\n'));
  const { atlas, knownDatabases } = outcome.value;
  kept = { atlas, knownDatabases };
  return kept;
}

/** What to load from a folder with these files. */
function inputOf(files: Files, cwd: string): LoadInput {
  const isBundled = !String(files['pharos.yaml'] ?? '').includes('databases');
  return { file: undefined, cwd, env: {}, cores: 1, ...(isBundled && { geographyInUse: bundledGeography() }) };
}

/** `zones/*.yaml` and the like, compiled. Throws with all mistakes. */
export function load(files: Files): LoadedGeneration {
  using folder = folderOf(files);
  const outcome = loadGeneration(inputOf(files, folder.path));
  if (!outcome.ok) throw new Error(outcome.diagnostics.map(formatDiagnostic).join('\n'));
  return outcome.value;
}

/** The same as the compile thread returns it. */
export function loadPacked(files: Files): CompiledGeneration {
  const generation = load(files);
  return { ...generation, packed: packGeneration(generation) };
}

/** The mistakes of files, one line each. */
export function mistakesOf(files: Files): string[] {
  using folder = folderOf(files);
  const outcome = loadGeneration(inputOf(files, folder.path));
  return outcome.diagnostics.map(
    ({ severity, code, message, place }) => `${place.file}:${place.line} ${severity} ${code}: ${message}`,
  );
}

/** What a generation posts to threads; every VIP is unknown and never flips. */
export function payloadOf(generation: LoadedGeneration, more: Partial<AnswererPayload> = {}): AnswererPayload {
  const { vips } = generation.catalog;
  const memory = createHealthTable(vips.length);
  const table = viewHealthTable(memory, vips.length);
  for (const vip of vips) {
    table.states[vip.slot] = packState(PROBED.UNKNOWN, FORCED.NONE, NEVER_SECONDS);
    table.weights[vip.slot] = vip.weight;
  }
  return {
    image: generation.image,
    atlas: generation.atlas,
    health: memory,
    served: [],
    online: generation.online,
    nsid: new Uint8Array(0),
    version: new Uint8Array(0),
    ...more,
  };
}

export type AskOptions = QueryOptions & {
  readonly from?: string;
  readonly overTcp?: boolean;
  readonly overTls?: boolean;
};

export type Answering = {
  readonly state: Answerer;
  readonly health: HealthTable;
  readonly generation: LoadedGeneration;
  /** Sets the health word of a VIP named as `www.example.com/seoul-a`. */
  readonly set: (
    target: string,
    state: { probed?: Probed; forced?: Forced; holdSeconds?: number; weight?: number },
  ) => void;
  /** The response's octets, undefined without a response. */
  readonly exchange: (query: Uint8Array, options?: AskOptions) => Buffer | undefined;
  /** Asks and reads; throws without a response or with a malformed one. */
  readonly ask: (name: string, type: number, options?: AskOptions) => DecodedMessage;
};

/** One thread's answerer over files. */
export function answering(files: Files, more: Partial<AnswererPayload> = {}, seed = 1, clock?: PacketClock): Answering {
  return answeringFrom(load(files), more, seed, clock);
}

/** The same of a generation. */
export function answeringFrom(
  generation: LoadedGeneration,
  more: Partial<AnswererPayload> = {},
  seed = 1,
  clock?: PacketClock,
): Answering {
  const payload = payloadOf(generation, more);
  const state = createAnswererState(payload, 0, seed, undefined, clock);
  const health = viewHealthTable(payload.health, generation.catalog.vips.length);
  const tx = Buffer.alloc(65_535 + 64);
  const exchange = (query: Uint8Array, options: AskOptions = {}): Buffer | undefined => {
    const peer = parseAddress(options.from ?? '192.0.2.1') ?? new Uint8Array(4);
    const transport = options.overTls ? TRANSPORT.TLS : options.overTcp ? TRANSPORT.TCP : TRANSPORT.UDP;
    const length = answer(state, packetOf(query, peer, transport, tx));
    return length === 0 ? undefined : Buffer.from(tx.subarray(0, length));
  };
  return {
    state,
    health,
    generation,
    set: (target, { probed = PROBED.UNKNOWN, forced = FORCED.NONE, holdSeconds = NEVER_SECONDS, weight }) => {
      const vip = generation.catalog.vips.find((each) => each.target === target);
      if (!vip) throw new Error(`there is no ${target}`);
      health.states[vip.slot] = packState(probed, forced, holdSeconds);
      if (weight !== undefined) health.weights[vip.slot] = weight;
    },
    exchange,
    ask: (name, type, options = {}) => {
      const response = exchange(encodeQuery(name, type, options), options);
      if (!response) throw new Error(`no response for ${name}`);
      return decodeMessage(response);
    },
  };
}
