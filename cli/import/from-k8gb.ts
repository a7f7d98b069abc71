/**
 * k8gb: the Gslb resources of each cluster, with the resources that have their hosts, as `kubectl get -o yaml` prints
 * them. Clusters are told apart by the geo tags in the status of their Gslbs.
 */
import type { Report } from '../../config/diagnostics.ts';
import { formatName, isWithin, nameKey, type Name } from '../../wire/name.ts';
import { addCheck, createDraft, note, OUT_OF_ZONE, type DraftValue, type ZoneDraft } from './draft.ts';
import { addPooledService, type MemberPool, type PooledService } from './pooled-service.ts';
import { filesIn, readYamlDocuments } from './read-documents.ts';
import { fieldsOf, listOf, numberOf, textOf, wholeName, type Fields } from './values.ts';

/** k8gb's default dnsTtlSeconds. */
const DEFAULT_TTL_SECONDS = 30;

/** A resource, and the file that it is in: one file has the resources of one cluster. */
type Resource = { readonly file: string; readonly fields: Fields };

/** What one cluster says about a host. */
type Cluster = {
  readonly tag: string;
  readonly strategy: Fields;
  readonly addresses: readonly string[];
  readonly isTls: boolean;
  readonly name: string;
};

/** Returns the zone, which `apex` names: the resources have only hosts. */
export function fromK8gb(path: string, apex: Name | undefined, report: Report): ZoneDraft | undefined {
  const resources: Resource[] = [];
  for (const file of filesIn(path, /\.(?:ya?ml|json)$/)) {
    const documents = readYamlDocuments(file, report);
    if (!documents) return undefined;
    for (const { content } of documents) {
      const fields = fieldsOf(content);
      const items = textOf(fields['kind'])?.endsWith('List') ? listOf(fields['items']) : [fields];
      resources.push(...items.map((item) => ({ file, fields: fieldsOf(item) })));
    }
  }
  const gslbs = resources.filter(isGslb);
  if (gslbs.length === 0) {
    const hint = 'kubectl get gslb,ingress -A -o yaml > CLUSTER.yaml';
    report.error('PH501', `${path} has no resource of the kind Gslb`, { file: path }, hint);
    return undefined;
  }
  if (!apex) {
    report.error(
      'PH502',
      'the resources do not state the name of the zone',
      { file: path },
      'state it: --zone example.com',
    );
    return undefined;
  }
  const draft = createDraft(apex, `k8gb, ${path}`);
  const byHost = new Map<string, { readonly owner: Name; readonly clusters: Cluster[] }>();
  for (const gslb of gslbs) {
    for (const [host, cluster] of clustersOf(draft, gslb, resources)) {
      const owner = wholeName(host);
      if (!owner || !isWithin(owner, apex)) {
        note(draft, 'dropped', owner, owner ? `a host ${OUT_OF_ZONE}` : `${host}, which is not a domain name`);
        continue;
      }
      const known = byHost.get(nameKey(owner)) ?? { owner, clusters: [] };
      known.clusters.push(cluster);
      byHost.set(nameKey(owner), known);
    }
  }
  for (const { owner, clusters } of byHost.values()) addHost(draft, owner, clusters);
  return draft;
}

/** A Gslb, or an Ingress with the annotations that k8gb makes a Gslb of. */
function isGslb({ fields }: Resource): boolean {
  if (textOf(fields['kind']) === 'Gslb') return true;
  return textOf(fields['kind']) === 'Ingress' && annotation(fields, 'k8gb.io/strategy') !== undefined;
}

function annotation(fields: Fields, name: string): string | undefined {
  return textOf(fieldsOf(fieldsOf(fields['metadata'])['annotations'])[name]);
}

function nameOf(fields: Fields): string {
  return textOf(fieldsOf(fields['metadata'])['name']) ?? '';
}

function namespaceOf(fields: Fields): string {
  return textOf(fieldsOf(fields['metadata'])['namespace']) ?? '';
}

/** The hosts of a Gslb with what its cluster says about each. */
function clustersOf(
  draft: ZoneDraft,
  gslb: Resource,
  all: readonly Resource[],
): readonly (readonly [string, Cluster])[] {
  const { fields, file } = gslb;
  const [spec, status] = [fieldsOf(fields['spec']), fieldsOf(fields['status'])];
  const name = nameOf(fields);
  // k8gb makes an Ingress for a Gslb with rules, and a Gslb for an Ingress with annotations: one of both counts.
  const isTwin = all.some(
    (other) =>
      other.file === file &&
      textOf(other.fields['kind']) === 'Gslb' &&
      nameOf(other.fields) === name &&
      namespaceOf(other.fields) === namespaceOf(fields),
  );
  if (textOf(fields['kind']) !== 'Gslb' && isTwin) return [];
  const source = sourceOf(gslb, all);
  if (!source) note(draft, 'changed', undefined, `the Gslb ${name} refers to a resource that is not in ${file}`);
  const healthy = fieldsOf(status['healthyRecords']);
  const hosts = source ? hostsOf(source, fields) : Object.keys(healthy);
  const strategy =
    textOf(fields['kind']) === 'Gslb'
      ? fieldsOf(spec['strategy'])
      : {
          type: annotation(fields, 'k8gb.io/strategy'),
          primaryGeoTag: annotation(fields, 'k8gb.io/primary-geotag'),
          dnsTtlSeconds: annotation(fields, 'k8gb.io/dns-ttl-seconds'),
        };
  const tag = textOf(status['geoTag']) ?? file.replace(/^.*\//, '').replace(/\.\w+$/, '');
  const isTls = source !== undefined && listOf(fieldsOf(source['spec'])['tls']).length > 0;
  return hosts.map((host) => [
    host,
    { tag, strategy, addresses: addressesOf(status, source, host, all, file), isTls, name },
  ]);
}

/** The resource that has the hosts: embedded rules, a reference by name or labels, or the resource itself. */
function sourceOf({ fields, file }: Resource, all: readonly Resource[]): Fields | undefined {
  const spec = fieldsOf(fields['spec']);
  if (textOf(fields['kind']) !== 'Gslb') return fields;
  if (spec['ingress'] !== undefined) return { ...fields, kind: 'Ingress', spec: spec['ingress'] };
  const reference = fieldsOf(spec['resourceRef']);
  const labels = Object.entries(fieldsOf(reference['matchLabels']));
  const namespace = textOf(reference['namespace']) ?? namespaceOf(fields);
  return all.find((each) => {
    if (each.file !== file || textOf(each.fields['kind']) !== textOf(reference['kind'])) return false;
    if (namespaceOf(each.fields) !== namespace) return false;
    const own = fieldsOf(fieldsOf(each.fields['metadata'])['labels']);
    return labels.length > 0
      ? labels.every(([key, value]) => own[key] === value)
      : nameOf(each.fields) === textOf(reference['name']);
  })?.fields;
}

function hostsOf(source: Fields, gslb: Fields): readonly string[] {
  const spec = fieldsOf(source['spec']);
  const named = annotation(gslb, 'k8gb.io/hostname') ?? annotation(source, 'k8gb.io/hostname');
  const lists = [
    ...listOf(spec['rules']).map((rule) => fieldsOf(rule)['host']),
    ...listOf(spec['hostnames']),
    ...listOf(spec['hosts']),
    ...(named === undefined ? [] : named.split(',')),
  ];
  return [...new Set(lists.flatMap((host) => textOf(host)?.trim() ?? []))].filter((host) => host !== '');
}

/**
 * The addresses of the cluster: `exposedIps`, the DNSEndpoint with its local targets, or those of the load balancer of
 * the Ingress. `healthyRecords` has those of all clusters.
 */
function addressesOf(
  status: Fields,
  source: Fields | undefined,
  host: string,
  all: readonly Resource[],
  file: string,
): readonly string[] {
  const textsOf = (list: unknown): readonly string[] => listOf(list).flatMap((each) => textOf(each) ?? []);
  const balancer = fieldsOf(status['loadBalancer']);
  const exposed = textsOf(balancer['exposedIps']);
  if (exposed.length > 0) return exposed;
  const local = all.flatMap(({ file: other, fields }) =>
    other === file && textOf(fields['kind']) === 'DNSEndpoint'
      ? listOf(fieldsOf(fields['spec'])['endpoints'])
          .map(fieldsOf)
          .filter((endpoint) => textOf(endpoint['dnsName']) === `localtargets-${host}`)
          .flatMap((endpoint) => textsOf(endpoint['targets']))
      : [],
  );
  if (local.length > 0) return [...new Set(local)];
  const ingress = listOf(fieldsOf(fieldsOf(source?.['status'])['loadBalancer'])['ingress']).map(fieldsOf);
  return ingress.flatMap((each) => textOf(each['ip']) ?? textOf(each['hostname']) ?? []);
}

function addHost(draft: ZoneDraft, owner: Name, clusters: readonly Cluster[]): void {
  const [first] = clusters;
  if (!first) return;
  const { strategy } = first;
  const type = textOf(strategy['type']) ?? 'roundRobin';
  if (clusters.some((each) => JSON.stringify(each.strategy) !== JSON.stringify(strategy))) {
    note(draft, 'changed', owner, `its clusters have different strategies: that of ${first.tag} is imported`);
  }
  for (const { tag, addresses } of clusters) {
    if (addresses.length === 0)
      note(draft, 'dropped', owner, `the cluster ${tag}: its addresses are not in these files`);
  }
  if (textOf(strategy['splitBrainThresholdSeconds']) !== undefined) {
    note(draft, 'dropped', owner, 'splitBrainThresholdSeconds: a fleet of Pharos votes');
  }
  const check = checkOf(draft, owner, clusters);
  const weights = fieldsOf(strategy['weight']);
  const pools = [...Map.groupBy(clusters, ({ tag }) => tag)].flatMap(([tag, own]): MemberPool[] => {
    const addresses = [...new Set(own.flatMap((each) => each.addresses))];
    const share = Number.parseInt(textOf(weights[tag]) ?? '', 10);
    const weight = Number.isNaN(share) || type === 'failover' ? 1 : share / Math.max(1, addresses.length);
    return addresses.length === 0 ? [] : [{ name: tag, members: addresses.map((value) => ({ value, weight, check })) }];
  });
  const plan = planOf(draft, owner, type, strategy, pools);
  if (!plan) return;
  addPooledService(draft, { owner, ttl: numberOf(strategy['dnsTtlSeconds']) ?? DEFAULT_TTL_SECONDS, pools, ...plan });
}

type Plan = Pick<PooledService, 'failover' | 'steps' | 'answers'>;

function planOf(
  draft: ZoneDraft,
  owner: Name,
  type: string,
  strategy: Fields,
  pools: readonly MemberPool[],
): Plan | undefined {
  const tags = pools.map(({ name }) => name);
  switch (type) {
    case 'roundRobin':
    case 'weightRoundRobin':
    case 'consistent':
      return { steps: ['weighted'], answers: 'all' };
    case 'failover': {
      const primary = textOf(strategy['primaryGeoTag']);
      if (primary === undefined || !tags.includes(primary)) {
        note(
          draft,
          'changed',
          owner,
          `the primary geo tag ${primary ?? ''} is of no cluster in these files: put it first`,
        );
      }
      return {
        failover: [...tags.filter((tag) => tag === primary), ...tags.filter((tag) => tag !== primary)],
        steps: ['all'],
      };
    }
    case 'geoip': {
      const message = 'geoip becomes nearest: give each region "at", or use geo with the networks of your database';
      note(draft, 'changed', owner, message);
      return { steps: ['nearest', 'all'] };
    }
    default:
      note(draft, 'dropped', owner, `the strategy ${type} has no equivalent`);
      return undefined;
  }
}

/** k8gb asks the API of Kubernetes whether pods are ready. From outside, only a probe of the host can tell. */
function checkOf(draft: ZoneDraft, owner: Name, clusters: readonly Cluster[]): string {
  const isTls = clusters.some((each) => each.isTls);
  const host = formatName(owner);
  const spec: DraftValue = isTls
    ? { type: 'https', path: '/', host, status: '200-499' }
    : { type: 'http', path: '/', host, status: '200-499' };
  note(
    draft,
    'changed',
    owner,
    'k8gb counts ready pods: here a check asks for / with its host, and any status below 500 passes; adapt it',
  );
  return addCheck(draft, isTls ? 'https' : 'http', spec);
}
