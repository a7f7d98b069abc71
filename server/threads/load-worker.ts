/**
 * The compile thread. It reads, checks and compiles the configuration, and posts the outcome. If it keeps running, it
 * loads again on request, and then only the changed parts.
 */
import { constants, setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { collectAll, shrinkIfGrown, shrinkLater } from '../../config/garbage.ts';
import { allocateShared } from '../../config/libc.ts';
import { withEntries } from '../../zones/layered-map.ts';
import type { LoadedGeneration, LoadInput, World } from '../../zones/load-generation.ts';
import type { CompiledGeneration } from '../../zones/packed-generation.ts';
import type { PostponedZones } from '../../zones/postponed.ts';
import { changesOf, isSameList } from './generation-changes.ts';
import type { FromLoadThread, LoadRequest, SetsRequest } from './load-thread.ts';

// Answering threads have precedence. Only Linux has priorities per thread; elsewhere this would change the whole
// server.
if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_LOW);

const post = (message: FromLoadThread): void => {
  parentPort?.postMessage(message);
};

// Imported after the priority is set: loading these modules is a large part of a short reload.
const [{ announceReads }, { loadWorld }, { signPostponed }, { signSets }, { packGeneration }, { createPartStore }] = [
  await import('../../config/read-file.ts'),
  await import('../../zones/load-generation.ts'),
  await import('../../zones/postponed.ts'),
  await import('../../zones/sign-sets.ts'),
  await import('../../zones/packed-generation.ts'),
  await import('../../zones/image/part-store.ts'),
];
announceReads((path) => {
  post({ kind: 'reading', path });
});

type Loaded = {
  /** Data that every later load uses again. */
  readonly basis: Pick<LoadedGeneration, 'serials' | 'atlas' | 'knownDatabases'>;
  /** Undefined after the arena was replaced: the new arena has only the parts that the next generation uses. */
  readonly parts: { readonly world: World; readonly compiled: CompiledGeneration } | undefined;
};

/** By number: the generation in force, and one that may follow it. */
const loaded = new Map<number, Loaded>();
const store = createPartStore(allocateShared);
/** Undefined: this thread ends after a load, so it signs everything before. */
const { stays, request } = workerData as { readonly stays: boolean; readonly request: LoadRequest };
const postponed: PostponedZones | undefined = stays ? new Map() : undefined;

/** From this size of the arena on, garbage is collected at once: a load leaves about as much garbage as that size. */
const LARGE_OCTETS = 64 * 1024 * 1024;

function load({ input, number, base }: LoadRequest): void {
  const known = base === undefined ? undefined : loaded.get(base);
  for (const each of loaded.keys()) if (each !== base) loaded.delete(each);
  const before = known?.parts;
  const { arena } = store;
  const outcome = loadWorld(
    known ? { ...input, ...restOf(known, input.moved) } : input,
    store,
    before?.world,
    postponed,
  );
  setImmediate(signLater, input.cores);
  shrinkIfGrown();
  // The generation in force keeps its arena. This thread releases it, because it would otherwise keep it until the next
  // load.
  if (known && arena !== store.arena) loaded.set(base ?? 0, { basis: known.basis, parts: undefined });
  if (!outcome.ok) {
    post({ kind: 'done', outcome: { kind: 'refused', diagnostics: outcome.diagnostics } });
    return;
  }
  const { world, isUnchanged } = outcome.value;
  const { diagnostics } = outcome;
  if (before && isUnchanged) {
    loaded.set(base ?? 0, loadedOf(world, before.compiled));
    post({ kind: 'done', outcome: { kind: 'unchanged', diagnostics } });
    return;
  }
  const { generation } = world;
  const { image, atlas, locations } = generation;
  const packed =
    before?.compiled.image.plan === image.plan
      ? { ...before.compiled.packed, image, atlas, placeOf: locations.placeOf }
      : packGeneration(generation);
  const compiled = { ...generation, packed };
  loaded.set(number, loadedOf(world, compiled));
  if (before) {
    const isSameSettings =
      before.world.settingsKey.equals(world.settingsKey) &&
      isSameList(before.compiled.settings.zoneFiles, compiled.settings.zoneFiles);
    const changes = changesOf(before.compiled, compiled, isSameSettings);
    post({ kind: 'done', outcome: { kind: 'changed', changes, diagnostics } });
  } else {
    post({ kind: 'done', outcome: { kind: 'loaded', generation: compiled, diagnostics } });
  }
  // Collects the records of a large zone, and a replaced arena.
  if (before && arena === store.arena) return;
  if (image.arena.byteLength >= LARGE_OCTETS) setImmediate(collectAll);
  shrinkLater();
}

/** Makes the signatures of zones that did not wait for them. */
function signLater(cores: number): void {
  if (!postponed) return;
  signPostponed(postponed, cores, {
    progress: (zones) => {
      post({ kind: 'signing', zones });
    },
    done: ({ name }) => {
      post({ kind: 'signed', zone: name });
    },
  });
}

function replyWithSets({ id, of, wishes }: SetsRequest): void {
  const world = loaded.get(of)?.parts?.world;
  post({ kind: 'sets', id, sets: world ? signSets(world, wishes) : [] });
}

function loadedOf(world: World, compiled: CompiledGeneration): Loaded {
  const { serials, atlas, knownDatabases } = compiled;
  return { basis: { serials, atlas, knownDatabases }, parts: { world, compiled } };
}

function restOf({ basis }: Loaded, moved: LoadInput['moved']): Pick<LoadInput, 'serials' | 'geographyInUse'> {
  const { serials, ...geographyInUse } = basis;
  return { serials: moved ? withEntries(serials, moved) : serials, geographyInUse };
}

load(request);
if (stays) {
  parentPort?.on('message', (message: LoadRequest | SetsRequest) => {
    if ('kind' in message) replyWithSets(message);
    else load(message);
  });
}
