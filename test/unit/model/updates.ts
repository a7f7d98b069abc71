/**
 * Updates of the signed zone: with the journal, and compiled and signed again. Beside them the reference that knows
 * which of them holds: docs/updates.md.
 */
import { join } from 'node:path';
import type { Current } from '../../../cli/serve/generation.ts';
import { createUpdates, type Updates } from '../../../cli/serve/updates.ts';
import { createAlarms } from '../../../config/alarms.ts';
import { parseName } from '../../../wire/name.ts';
import { parseRdataText } from '../../../wire/rdata.ts';
import { CLASS, TYPE } from '../../../wire/types.ts';
import type { LoadedGeneration } from '../../../zones/load-generation.ts';

/** Names that files may have, and names that only updates have. */
export const NAMES = ['t0', 't1', 't2', 't3', 'd0', 'd1'] as const;
/** What an update made of the text of a name, and what the files had then; undefined: no record. */
type Changed = { readonly text: string | undefined; readonly base: string | undefined };
/** By name. */
export type ChangedTexts = Map<string, Changed>;

const APEX = parseName('sx.');

/** `loaded`: the generation in force. `load` reads the journals of these files again. `warned`: gets what is logged. */
export function createModelUpdates(
  folder: string,
  wallMs: () => number,
  loaded: () => LoadedGeneration,
  load: (files: readonly string[]) => void,
  warned: string[],
): Updates {
  const warn = (...what: readonly unknown[]): void => {
    const isByFiles = typeof what[0] === 'string' && what[0].includes('because the files have others');
    if (!isByFiles)
      warned.push(what.map((each) => (each instanceof Error ? each.stack : JSON.stringify(each))).join(' '));
  };
  return createUpdates({
    stateDir: join(folder, 'state'),
    current: () => {
      const { settings, catalog } = loaded();
      return { settings, catalog, loaded: loaded() } as unknown as Current;
    },
    update: async (keep) => {
      const { files } = await keep();
      if (files.length > 0) load(files);
      return { ok: true, generation: 1, warnings: [] };
    },
    ...{ histories: { expect: () => undefined, changed: () => undefined }, events: { add: () => undefined } },
    ...{ stopping: () => false, alarms: createAlarms(wallMs) },
    log: { info: () => undefined, warn, error: warn },
  });
}

/** Sets the text of a name, or removes its records. Throws if it is not done. */
export async function changeText(updates: Updates, name: string, text: string | undefined): Promise<void> {
  const owner = parseName(`${name}.sx.`);
  const all = { name: owner, type: TYPE.TXT, class: CLASS.ANY, ttlSeconds: 0, data: new Uint8Array(0) };
  const added = text === undefined ? [] : [{ ...all, class: CLASS.IN, ttlSeconds: 300, data: parseRdataText(TYPE.TXT, `"${text}"`, APEX) }]; // prettier-ignore
  const outcome = await updates.change({
    apex: APEX,
    update: { zone: { name: APEX, type: TYPE.SOA, class: CLASS.IN }, prerequisites: [], updates: [all, ...added] },
    permit: () => () => true,
    sender: { key: 'k.', peer: Uint8Array.of(192, 0, 2, 1) },
  });
  if (outcome.kind !== 'done') throw new Error(`the update of ${name} is not done: ${JSON.stringify(outcome)}`);
}

/** What the files have for a name. */
function inFiles(files: readonly string[], name: string): string | undefined {
  return name.startsWith('t') ? files[Number(name.slice(1))] : undefined;
}

export function textOf(changed: ChangedTexts, files: readonly string[], name: string): string | undefined {
  const found = changed.get(name);
  return found ? found.text : inFiles(files, name);
}

/** The reference hears of an update. */
export function noteChange(
  changed: ChangedTexts,
  files: readonly string[],
  name: string,
  text: string | undefined,
): void {
  if (textOf(changed, files, name) === text) return;
  const base = changed.get(name)?.base ?? inFiles(files, name);
  if (base === undefined && text === undefined) changed.delete(name);
  else changed.set(name, { text, base });
}

/** The files are read. Where they state something else than when the update came, they win. */
export function noteFiles(changed: ChangedTexts, files: readonly string[]): void {
  for (const [name, { base }] of changed) if (inFiles(files, name) !== base) changed.delete(name);
}
