/**
 * The Helm chart and the manifests, rendered by Helm and checked against the schemas and types that Kubernetes and the
 * Prometheus operator publish; what the pod security standard "restricted" asks; and the script that reloads.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { findHelm, typesOf, validateObject } from '../support/helm.ts';
import { folderOf, NO_GEOGRAPHY } from '../support/pharos.ts';
import { dig, eventually, PHAROS, ROOT, run, serve, start } from '../support/process.ts';

const CHART = `${ROOT}deploy/helm/pharos`;
const MANIFESTS = `${ROOT}deploy/kubernetes/pharos.yaml`;
const helm = findHelm();
if (helm === undefined) console.log('no Helm here: the chart is not rendered');

type Container = {
  readonly name: string;
  readonly command?: readonly string[];
  readonly securityContext: object;
  readonly ports?: readonly { readonly containerPort: number }[];
};
type KubernetesObject = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly template?: {
      readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
      readonly spec: { readonly containers: readonly Container[]; readonly volumes: readonly object[] };
    };
  };
};

const readObjects = (text: string): KubernetesObject[] =>
  parseAllDocuments(text).flatMap((document) => (document.toJS() as KubernetesObject | null) ?? []);

function render(...values: readonly string[]): string {
  const args = ['template', 'pharos', CHART, '--namespace', 'pharos', ...values.flatMap((value) => ['--set', value])];
  const { status, stdout, stderr } = spawnSync(helm ?? '', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const TOKEN = 'token.existingSecret=pharos';
const ALL = ['serviceMonitor.enabled=true', 'state.persistent=true', 'state.storageClassName=fast', 'reload.mode=restart', 'podAnnotations.a=b', 'nodeSelector.a=b', 'priorityClassName=high', 'imagePullSecrets[0].name=s', 'env[0].name=A', 'env[0].value=b', 'service.annotations.a=b', 'service.loadBalancerIP=192.0.2.53', 'tolerations[0].operator=Exists', 'extraVolumes[0].name=tls', 'extraVolumes[0].secret.secretName=tls', 'extraVolumeMounts[0].name=tls', 'extraVolumeMounts[0].mountPath=/tls']; // prettier-ignore

/** What the compiler says of the objects, written as literals of their types: it finds unknown members too. */
function typeMistakes(objects: readonly KubernetesObject[]): readonly string[] {
  const text = objects.map(({ apiVersion, kind, ...rest }, index) => {
    const literal = JSON.stringify({ apiVersion, kind, ...rest });
    return `import type { I${kind} as T${String(index)} } from ${JSON.stringify(typesOf(apiVersion, kind))};\nexport const o${String(index)}: T${String(index)} = ${literal};\n`;
  });
  using folder = folderOf({ 'objects.ts': text.join('') });
  const program = ts.createProgram([join(folder.path, 'objects.ts')], {
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ESNext },
    ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  });
  return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

const podOf = (objects: readonly KubernetesObject[]) => {
  const pod = objects.find(({ kind }) => kind === 'StatefulSet')?.spec?.template;
  if (!pod) throw new Error('no StatefulSet');
  return pod;
};

describe.skipIf(helm === undefined)('the chart', () => {
  test('helm lint finds nothing', () => {
    const { status, stdout } = spawnSync(helm ?? '', ['lint', '--strict', '--set', TOKEN, CHART], { encoding: 'utf8' });
    expect(stdout).toContain('0 chart(s) failed');
    expect(status).toBe(0);
  });

  test.each([
    { title: 'as it comes', values: [] },
    { title: 'with every value', values: ALL },
    { title: 'without what can be left out', values: ['networkPolicy.enabled=false', 'service.type=ClusterIP', 'zonesConfigMap=mine', 'config.listen={0.0.0.0:53}'] }, // prettier-ignore
  ])('$title: every object is valid', async ({ values }) => {
    const objects = readObjects(render(TOKEN, ...values));
    expect(objects.length).toBeGreaterThan(4);
    for (const object of objects) await validateObject(object);
    expect(typeMistakes(objects)).toEqual([]);
  });

  test('an object with a mistake is not valid', async () => {
    const [first] = readObjects(render(TOKEN)).filter(({ kind }) => kind === 'StatefulSet');
    if (!first) throw new Error('no StatefulSet');
    await expect(validateObject({ ...first, spec: { ...first.spec, replicas: 'two' } } as object as KubernetesObject)).rejects.toThrow(/replicas must be integer/); // prettier-ignore
    expect(typeMistakes([{ ...first, spec: { ...first.spec, replica: 2 } } as object as KubernetesObject])).toEqual([expect.stringMatching(/'replica' does not exist|"replica"|replicas/) as string]); // prettier-ignore
  });

  test('the alert rules of deploy/prometheus become a PrometheusRule', async () => {
    const file = `${ROOT}deploy/prometheus/pharos-alerts.yaml`;
    const args = ['template', 'pharos', CHART, '--set', TOKEN, '--set-file', `prometheusRule.rules=${file}`];
    const { stdout } = spawnSync(helm ?? '', args, { encoding: 'utf8' });
    const rule = readObjects(stdout).find(({ kind }) => kind === 'PrometheusRule');
    expect(rule?.spec).toEqual(parse(readFileSync(file, 'utf8')));
    if (rule) await validateObject(rule);
  });

  test('without a token, or with a wrong mode, Helm says what is missing', () => {
    expect(() => render()).toThrow(/token\.existingSecret: the name of a Secret/);
    expect(() => render(TOKEN, 'reload.mode=never')).toThrow(/reload\.mode: expected sidecar or restart/);
  });

  test('a changed zone replaces the pods with reload.mode=restart, and not with the sidecar', () => {
    const pod = (...values: readonly string[]): string => JSON.stringify(podOf(readObjects(render(TOKEN, ...values))));
    expect(pod('zones.a=b')).toBe(pod('zones.a=c'));
    expect(pod('reload.mode=restart', 'zones.a=b')).not.toBe(pod('reload.mode=restart', 'zones.a=c'));
  });

  // After a change of the chart: vitest run --project system test/integration/kubernetes.test.ts -u
  test('deploy/kubernetes/pharos.yaml is the chart as it comes', async () => {
    const head =
      '# Made from deploy/helm/pharos (docs/kubernetes.md). It needs a Secret "pharos" with a key "token".\n';
    const text = render(TOKEN).replace(/^ *(?:app\.kubernetes\.io\/managed-by|helm\.sh\/chart): .*\n/gm, '');
    await expect(head + text.replace(/^# Source: .*\n/gm, '')).toMatchFileSnapshot(MANIFESTS);
  });
});

describe('the manifests', () => {
  const objects = readObjects(readFileSync(MANIFESTS, 'utf8'));

  test('keep to the pod security standard "restricted"', () => {
    const { spec } = podOf(objects);
    expect(spec).toMatchObject({
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      automountServiceAccountToken: false,
    });
    expect(Object.keys(spec)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^host(?:Network|PID|IPC)$/)]));
    for (const { securityContext } of spec.containers) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
    for (const volume of spec.volumes) expect(Object.keys(volume)).toEqual(['name', expect.stringMatching(/^(?:configMap|emptyDir)$/)]); // prettier-ignore
    const ports = spec.containers.flatMap((each) => each.ports ?? []).map(({ containerPort }) => containerPort);
    expect(Math.min(...ports)).toBeGreaterThan(1023);
  });

  test('the user of the pod is that of the image', () => {
    const [, user] = /^USER (\d+):/m.exec(readFileSync(`${ROOT}Dockerfile`, 'utf8')) ?? [];
    expect(podOf(objects).spec).toMatchObject({ securityContext: { runAsUser: Number(user), fsGroup: Number(user) } });
  });

  const dataOf = (name: string): Readonly<Record<string, string>> =>
    objects.find((each) => each.kind === 'ConfigMap' && each.metadata.name === name)?.data ?? {};

  test('pharos check takes their configuration', async () => {
    using folder = folderOf({
      'pharos.yaml': (dataOf('pharos')['pharos.yaml'] ?? '').replace('/etc/pharos-zones', './zones'),
      'zones/example.com.yaml': dataOf('pharos-zones')['example.com.yaml'] ?? '',
    });
    const env = { PHAROS_TOKEN: '9b0f6a1cd2f34b66a1f1' };
    const checked = await run(['check'], { cwd: folder.path, env });
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok: 1 zone[^\n]*\n$/) as string });
  });

  test('the container "reload" reloads when the kubelet replaces a ConfigMap, and a rejected one changes nothing', async () => {
    const zone = (address: string): string =>
      `zone: example.com\nnameservers: [ns1]\nrecords: { ns1: { A: ${address} } }\n`;
    using folder = folderOf({
      ...Object.fromEntries(Object.entries(NO_GEOGRAPHY).map(([name, text]) => [`config/..one/${name}`, text])),
      'config/..one/pharos.yaml': `${String(NO_GEOGRAPHY['pharos.yaml'])}listen: 127.0.0.1:0\nworkers: 1\nzones: ../config-zones\nstatus: { listen: 127.0.0.1:0, token: '\${PHAROS_TOKEN}' }\nshutdown: { grace: 0s }\n`,
      'config-zones/..one/example.com.yaml': zone('192.0.2.1'),
    });
    const [config, zones] = [join(folder.path, 'config'), join(folder.path, 'config-zones')];
    // As the kubelet lays out a volume: the files are links through ..data, which it replaces.
    const turnTo = (home: string, version: string): void => {
      symlinkSync(version, join(home, '..new'));
      renameSync(join(home, '..new'), join(home, '..data'));
    };
    turnTo(config, '..one');
    turnTo(zones, '..one');
    for (const name of ['pharos.yaml', 'small.mmdb']) symlinkSync(`..data/${name}`, join(config, name));
    symlinkSync('..data/example.com.yaml', join(zones, 'example.com.yaml'));
    const env = { PHAROS_TOKEN: '2b1f6a1cd2f34b66a1aa', PATH: `${join(PHAROS, '..')}:${process.env['PATH'] ?? ''}` };
    await using server = await serve([join(config, 'pharos.yaml')], { cwd: folder.path, env });
    const [, , script = '', ...rest] = podOf(objects).spec.containers.find(({ name }) => name === 'reload')?.command ?? []; // prettier-ignore
    expect(rest).toEqual(['/etc/pharos', 'http://127.0.0.1:8053']);
    const quick = script.replace('sleep 5', 'sleep 0.1');
    await using sidecar = start(['-c', quick, config, server.api], { command: '/bin/sh', env });
    const answer = (): Promise<string> => dig(server.port, 'ns1.example.com');
    expect(await answer()).toBe('192.0.2.1');
    const publish = (version: string, text: string): void => {
      mkdirSync(join(zones, version));
      writeFileSync(join(zones, version, 'example.com.yaml'), text);
      turnTo(zones, version);
    };
    // The container knows the first version by now, or the change would be lost.
    await new Promise((resolve) => setTimeout(resolve, 500));
    publish('..two', zone('192.0.2.2'));
    await eventually(answer, (address) => address === '192.0.2.2');
    publish('..three', 'zone: example.com\n');
    await eventually(
      () => Promise.resolve(sidecar.stderr() + sidecar.stdout()),
      (text) => /PH\d{3}/.test(text),
    );
    expect(await answer()).toBe('192.0.2.2');
    publish('..four', zone('192.0.2.4'));
    await eventually(answer, (address) => address === '192.0.2.4');
    expect((await sidecar.stop()).code).toBe(0);
  });
});
