/**
 * The files of a Route 53 import: the JSON that `aws route53` prints for its lists, in one file or in a folder.
 */
import { basename } from 'node:path';
import type { Report } from '../../config/diagnostics.ts';
import { filesIn, readJson, type ReadDocument } from './read-documents.ts';
import { fieldsOf, textOf, type Fields } from './values.ts';

/** The networks of a location of a CIDR collection; undefined for a location that the files do not have. */
export type NetworksOf = (collection: string, location: string) => readonly string[] | undefined;

/** `TrafficPolicyInstances`, and the documents of the policies by identifier and version. */
export type TrafficPolicies = {
  readonly instances: readonly Fields[];
  readonly documentOf: (id: string, version: string) => Fields | undefined;
};

/** The lists of the source that an import reads. */
type Source = {
  readonly sets: readonly unknown[];
  readonly checks: readonly unknown[];
  readonly isTruncated: boolean;
  readonly networksOf: NetworksOf;
  readonly policies: TrafficPolicies;
};

/**
 * Joins the lists of the file, or of all JSON files of the folder. Returns undefined and reports a file without any.
 */
export function readFiles(path: string, report: Report): Source | undefined {
  const documents: ReadDocument[] = [];
  for (const file of filesIn(path, /\.json$/)) {
    const document = readJson(file, report, 'save the output of aws with --output json');
    if (!document) return undefined;
    documents.push(document);
  }
  const listsOf = (key: string): readonly unknown[] => documents.flatMap((document) => listIn(document, key));
  const bare = documents.flatMap(({ content }) => (Array.isArray(content) ? (content as readonly unknown[]) : []));
  const sets = [...listsOf('ResourceRecordSets'), ...bare];
  const hasSets = documents.some(
    ({ content }) => Array.isArray(content) || Array.isArray(fieldsOf(content)['ResourceRecordSets']),
  );
  if (!hasSets) {
    const hint = 'aws route53 list-resource-record-sets --hosted-zone-id Z1 --output json > records.json';
    report.error('PH501', `${path} has no list ResourceRecordSets`, { file: path }, hint);
    return undefined;
  }
  const isTruncated = documents.some(({ content }) => fieldsOf(content)['IsTruncated'] === true);
  return {
    sets,
    checks: listsOf('HealthChecks'),
    isTruncated,
    networksOf: networksIn(documents),
    policies: policiesIn(documents),
  };
}

function listIn({ content }: ReadDocument, key: string): readonly unknown[] {
  const list = fieldsOf(content)[key];
  return Array.isArray(list) ? (list as readonly unknown[]) : [];
}

/**
 * `list-cidr-blocks` does not print the collection that it lists. If a file's name has the identifier of the
 * collection, that file alone counts for it; otherwise the files that have no identifier in their names.
 */
function networksIn(documents: readonly ReadDocument[]): NetworksOf {
  const lists = documents.flatMap((document) => {
    const blocks = listIn(document, 'CidrBlocks').map(fieldsOf);
    return blocks.length === 0 ? [] : [{ name: basename(document.file).toLowerCase(), blocks }];
  });
  return (collection, location) => {
    const named = lists.filter(({ name }) => collection !== '' && name.includes(collection.toLowerCase()));
    const own = named.length > 0 ? named : lists.filter(({ name }) => !COLLECTION.test(name));
    const networks = own.flatMap(({ blocks }) =>
      blocks.flatMap((block) => (textOf(block['LocationName']) === location ? (textOf(block['CidrBlock']) ?? []) : [])),
    );
    return networks.length === 0 ? undefined : networks;
  };
}

/** A collection's identifier is a UUID. */
const COLLECTION = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** `get-traffic-policy` prints one policy, `list-traffic-policy-versions` a list of them. */
function policiesIn(documents: readonly ReadDocument[]): TrafficPolicies {
  const listed = documents.flatMap((document) => [
    ...listIn(document, 'TrafficPolicies').map(fieldsOf),
    fieldsOf(fieldsOf(document.content)['TrafficPolicy']),
  ]);
  const instances = documents.flatMap((document) => [
    ...listIn(document, 'TrafficPolicyInstances').map(fieldsOf),
    fieldsOf(fieldsOf(document.content)['TrafficPolicyInstance']),
  ]);
  return {
    instances: instances.filter(({ Id: id }) => textOf(id) !== undefined),
    documentOf: (id, version) => {
      const policy = listed.find((each) => textOf(each['Id']) === id && textOf(each['Version']) === version);
      return policy && parsedDocument(policy['Document']);
    },
  };
}

/** The document is JSON in a text. Undefined if it is not. */
function parsedDocument(document: unknown): Fields | undefined {
  if (typeof document !== 'string') return undefined;
  try {
    return fieldsOf(JSON.parse(document));
  } catch {
    return undefined;
  }
}
