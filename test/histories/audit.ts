/**
 * What is left once a ring of real nodes is at rest: every key is read through every node, every listing is looked at, and
 * every replica is asked what it holds. The reads go into the history, where the checker sees them.
 */
import { createHash } from 'node:crypto';
import type { ExplainView } from '../../src/node/node-service.ts';
import { pick, type SimRandom } from '../../src/sim/sim-random.ts';
import { AUDITOR } from './history-check.ts';
import { entriesOf, type HistoryLine } from './history-file.ts';
import { bodyOf, KnownVersions, RegisterClient, type ClientDeps, type Entry } from './register-client.ts';

/** A node that can be asked: a process on loopback, or a pod. */
export interface AuditedNode extends Entry {
  readonly url: string;
  readonly explain: (key: string) => Promise<ExplainView>;
}

/** Milliseconds until a read at rest has to be answered, and until every replica has to hold what is chosen. */
const AUDIT_MS_MAX = 60_000;
const AUDITS_AT_ONCE = 8;

/** Reads every key through every node; what isn't answered in time throws. */
export async function auditReads(nodes: readonly AuditedNode[], deps: ClientDeps, keys: readonly string[], random: SimRandom): Promise<void> {
  await each(keys.flatMap((key) => nodes.map((node) => ({ key, node }))), async ({ key, node }) => {
    const reader = new RegisterClient(AUDITOR, { ...deps, answered: () => undefined }, random.fork(`${AUDITOR} ${key} ${node.name}`), new KnownVersions());
    const endAt = performance.now() + AUDIT_MS_MAX;
    while ((await reader.get(key, node)) === 'fail') {
      if (performance.now() > endAt) throw new Error(`"${key}" can't be read at rest through ${node.name}`);
      await pause(200);
    }
    reader.close();
  });
}

/** The listing of every node has each name of the set that was acknowledged, and none that certainly wasn't stored. */
export async function auditListings(nodes: readonly AuditedNode[], lines: readonly HistoryLine[], prefix = ''): Promise<string[]> {
  const wrong: string[] = [];
  const set = `${prefix}set/`;
  const writes = entriesOf(lines).filter(({ key, op }) => key.startsWith(set) && op.f === 'put');
  const acknowledged = writes.filter(({ result }) => result?.kind === 'stored').map(({ key }) => key);
  const possible = new Set(writes.filter(({ result }) => result?.kind !== 'precondition-failed').map(({ key }) => key));
  for (const node of nodes) {
    const names = new Set<string>();
    let cursor: string | undefined;
    do {
      const query = new URLSearchParams({ prefix: set, ...(cursor !== undefined && { cursor }) });
      const response = await fetch(`${node.url}/v1/objects?${query}`);
      const page = await response.json() as { objects?: { name: string }[]; cursor?: string };
      if (!response.ok) throw new Error(`no listing through ${node.name}: ${JSON.stringify(page)}`);
      for (const { name } of page.objects ?? []) names.add(name);
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const key of acknowledged) if (!names.has(key)) wrong.push(`${node.name} does not list "${key}", which was acknowledged`);
    for (const name of names) if (!possible.has(name)) wrong.push(`${node.name} lists "${name}", which nobody stored`);
  }
  return wrong;
}

/** What each replica has on its disk, by its own word: a majority has to hold the value read at rest, durably. */
export async function auditReplicas(nodes: readonly AuditedNode[], lines: readonly HistoryLine[], keys: readonly string[], random: SimRandom, waitMsMax = AUDIT_MS_MAX): Promise<{ lacking: number; lost: string[]; waitedMs: number }> {
  const valueAtRest = new Map(entriesOf(lines).flatMap(({ client, key, result }) => (client === AUDITOR && result?.kind === 'value' ? [[key, result.value] as const] : [])));
  const sizeOf = new Map(lines.flatMap((line) => (line.type === 'invoke' && line.call.f === 'put' ? [[line.call.value, line.bytes ?? 0] as const] : [])));
  const beganAt = performance.now();
  const lost: string[] = [];
  let lacking: readonly string[] = keys;
  for (;;) {
    const isLast = performance.now() - beganAt > waitMsMax;
    const still: string[] = [];
    await each(lacking, async (key) => {
      const value = valueAtRest.get(key) ?? null;
      const digest = value === null ? null : createHash('sha256').update(bodyOf(value, sizeOf.get(value) ?? 0)).digest('hex');
      const { preferenceList } = await pick(random, nodes).explain(key);
      const holders = preferenceList.filter(({ holds }) => (digest === null ? holds !== null && holds.kind !== 'object' : holds?.sha256 === digest && holds.durable));
      if (holders.length === preferenceList.length) return;
      still.push(key);
      if (isLast && 2 * holders.length <= preferenceList.length) {
        lost.push(`"${key}" should be ${value ?? 'nothing'}, its replicas hold: ${preferenceList.map(({ node, holds }) => `${node} ${JSON.stringify(holds)}`).join('; ')}`);
      }
    });
    lacking = still;
    if (lacking.length === 0 || isLast) return { lacking: lacking.length, lost, waitedMs: performance.now() - beganAt };
    await pause(500);
  }
}

/** Runs the work on each item, some side by side. */
async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(Array.from({ length: AUDITS_AT_ONCE }, async () => {
    for (let i = next++; i < items.length; i = next++) await work(items[i] as T);
  }));
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });
