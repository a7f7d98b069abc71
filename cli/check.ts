/**
 * `pharos check [CONFIG]`: reads and compiles everything as `serve` does, and shows every mistake.
 *
 * It does not check whether the ports are free and whether the state folder can be written: a check must not disturb a
 * running server.
 */
import type { Diagnostic } from '../config/diagnostics.ts';
import { isRoot } from '../config/find-user.ts';
import type { DynamicInfo } from '../zones/catalog.ts';
import { loadGeneration, type LoadedGeneration } from '../zones/load-generation.ts';
import { loadInputFor } from './load-input.ts';
import { countDiagnostics, EXIT, paintDiagnostic, plural, showDiagnostics, type Output } from './output.ts';
import { startProgress } from './progress.ts';

export type CheckOptions = { readonly config: string | undefined; readonly json: boolean };

/** The step of a command that loads a configuration, for its progress. */
export const READING_FILES = 'Reading the files';

/** Counts of the configuration; all zero if it could not be read. */
export type CheckSummary = {
  readonly errors: number;
  readonly warnings: number;
  readonly zones: number;
  readonly records: number;
  readonly services: number;
  readonly vips: number;
  /** The zones that take dynamic updates. */
  readonly dynamic: readonly ({ readonly zone: string } & Omit<DynamicInfo, 'adopted'> & {
      readonly adopted: number;
    })[];
};

/** Exit code 0 without errors; warnings do not count. */
export function runCheck(options: CheckOptions, output: Output): number {
  using _progress = startProgress([READING_FILES], output);
  // Only then `serve` changes its user, and requires that there is one.
  const loaded = loadGeneration({ ...loadInputFor(options.config), needsPlaces: false, becomesUser: isRoot() });
  const { ok, diagnostics } = loaded;
  const summary = summarize(diagnostics, loaded.ok ? loaded.value : undefined);
  if (options.json) {
    output.out(JSON.stringify({ ok, diagnostics, summary }, undefined, 2));
    return ok ? EXIT.OK : EXIT.FAILED;
  }
  for (const diagnostic of diagnostics) output.out(paintDiagnostic(diagnostic, output.style));
  const counts = countDiagnostics(diagnostics);
  const contents = [
    plural(summary.zones, 'zone'),
    plural(summary.records, 'record'),
    plural(summary.services, 'service'),
    plural(summary.vips, 'VIP'),
  ].join(', ');
  for (const line of summary.dynamic.flatMap(dynamicWords)) output.out(line);
  if (!ok) output.out(output.style('red', counts));
  else
    output.out(
      `${output.style('green', 'ok')}: ${contents}${counts === '' ? '' : `; ${output.style('yellow', counts)}`}`,
    );
  return ok ? EXIT.OK : EXIT.FAILED;
}

/**
 * Loads the files as `serve` does, for other commands. `config` as on the command line. If there are mistakes, shows
 * them and returns undefined.
 */
export function loadOrExplain(config: string | undefined, output: Output): LoadedGeneration | undefined {
  const loaded = loadGeneration({ ...loadInputFor(config), needsPlaces: true });
  if (loaded.ok) return loaded.value;
  showDiagnostics(loaded.diagnostics, output);
  return undefined;
}

export function summarize(diagnostics: readonly Diagnostic[], generation: LoadedGeneration | undefined): CheckSummary {
  const errors = diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length;
  const catalog = generation?.catalog;
  return {
    errors,
    warnings: diagnostics.length - errors,
    zones: catalog?.zones.length ?? 0,
    records: catalog?.zones.reduce((sum, zone) => sum + zone.records, 0) ?? 0,
    services: catalog?.services.length ?? 0,
    vips: catalog?.vips.length ?? 0,
    dynamic: (catalog?.zones ?? []).flatMap(({ name, dynamic }) =>
      dynamic ? [{ zone: name, ...dynamic, adopted: dynamic.adopted.length }] : [],
    ),
  };
}

/** One line for a zone with dynamic records. */
function dynamicWords({
  zone,
  added,
  replaced,
  deleted,
  overruled,
  adopted,
}: CheckSummary['dynamic'][number]): string[] {
  const parts = [
    [added, 'not in files'],
    [replaced, 'in place of records in files'],
    [deleted, 'of the files deleted'],
    [overruled, 'not served, because the files have others now (files win)'],
    [adopted, 'in files too'],
  ] as const;
  const found = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return found.length === 0 ? [] : [`${zone}: dynamic records by name and type: ${found.join(', ')}`];
}
