/**
 * `pharos version`: shows the versions of the program and its environment, for reports of faults.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '../config/unknown-values.ts';
import { EXIT, table, type Output } from './output.ts';
import { checkoutRoot, programFolder, readVersion } from './version.ts';

export type VersionDocument = {
  readonly product: 'Pharos';
  readonly version: string;
  /** The commit; null if it is not known. */
  readonly revision: string | null;
  /** Whether files of the checkout differ from that commit. */
  readonly modified: boolean;
  readonly installed: 'checkout' | 'package';
  /** As `process.version`. */
  readonly node: string;
  /** As `process.platform` and `process.arch`. */
  readonly platform: string;
  readonly arch: string;
  /** Release of the operating system's kernel. */
  readonly kernel: string;
  /** Such as `glibc 2.36`; null if it is another C library. */
  readonly libc: string | null;
};

export function showVersion({ json }: { readonly json: boolean }, output: Output): number {
  const document = versionDocument();
  const { version, revision, modified, node, platform, arch, kernel, libc } = document;
  if (json) output.out(JSON.stringify(document, undefined, 2));
  else {
    const rows = [
      ['Pharos', version],
      ['revision', revision === null ? 'unknown' : `${revision}${modified ? ', modified' : ''}`],
      ['Node.js', node],
      ['platform', [`${platform} ${arch}`, `kernel ${kernel}`, ...(libc === null ? [] : [libc])].join(', ')],
    ];
    output.out(table(rows));
  }
  return EXIT.OK;
}

function versionDocument(): VersionDocument {
  const { platform, arch, version: node } = process;
  const folder = programFolder() ?? '.';
  const isCheckout = checkoutRoot() !== undefined;
  const commit = isCheckout ? commitOf(folder) : { revision: builtFrom(folder), modified: false };
  return {
    product: 'Pharos',
    version: readVersion(),
    ...commit,
    installed: isCheckout ? 'checkout' : 'package',
    node,
    platform,
    arch,
    kernel: release(),
    libc: cLibrary(),
  };
}

function commitOf(folder: string): Pick<VersionDocument, 'revision' | 'modified'> {
  // Sources without their repository may be in the repository of something else.
  const known = existsSync(join(folder, '.git'));
  const args = ['-C', folder, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*'];
  const { status, stdout } = known ? spawnSync('git', args, { encoding: 'utf8' }) : { status: 1, stdout: '' };
  const [, revision, dirty] = /^([0-9a-f]{40,64})(-dirty)?$/.exec(status === 0 ? stdout.trim() : '') ?? [];
  return { revision: revision ?? null, modified: dirty !== undefined };
}

/** `npm run build` writes it. */
function builtFrom(folder: string): string | null {
  try {
    return readFileSync(join(folder, 'dist/revision'), 'utf8').trim() || null;
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return null;
  }
}

function cLibrary(): string | null {
  // @types/node lacks it. Otherwise a report looks up the names of all open connections.
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined ? null : `glibc ${header.glibcVersionRuntime}`;
}
