/**
 * Listing against the obvious model: a name is there when its chosen record is a live object. Replicas lag behind, keep
 * leftovers of arcs they no longer hold, are down; arcs move; writes are half done. A write that no majority has isn't shown:
 * a read of the name finds what is chosen beneath it. Where one replica is all there is, its write is chosen.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { NodeId } from '../../src/domain/ids.ts';
import type { Layout } from '../../src/domain/layout.ts';
import type { ListRequest } from '../../src/domain/object-operation.ts';
import { hasher } from '../../src/ring/hasher.ts';
import { replicaSets } from '../../src/ring/placement.ts';
import { found, ListingRing, type ListingNode } from '../support/listing-ring.ts';
import { ballot } from '../support/register-replica.ts';
import { layoutOf, memberAt, position } from '../unit/ring/ring-fixture.ts';

type Draw = fc.GeneratorValue;

const KEY_BITS = 8;
/** Few characters, so that names share prefixes; and one on each side of the surrogates. */
const NAME = fc.array(fc.constantFrom('a', 'b', '/', '\uffff', '\u{10000}', '\u{10ffff}'), { minLength: 1, maxLength: 5 }).map((parts) => parts.join(''));
const NAMES = fc.uniqueArray(NAME, { maxLength: 40 });

function draw<T>(g: Draw, arbitrary: fc.Arbitrary<T>): T {
  return g(() => arbitrary);
}

/** Some arcs with any replica sets; `before` gives the old sets of a move its new ones. */
function drawLayout(g: Draw, nodeCount: number, epoch: number, before: Layout | null): Layout {
  const members = Array.from({ length: nodeCount }, (_, i) => memberAt(`n${i}`, [i * 7]));
  const base = layoutOf(members, { keyBits: KEY_BITS, replicas: 3, epoch });
  const ids = base.members.map((member) => member.nodeId);
  const set = (): NodeId[] => draw(g, fc.shuffledSubarray(ids, { minLength: Math.min(3, nodeCount), maxLength: Math.min(3, nodeCount) }));
  const drawn = draw(g, fc.uniqueArray(fc.nat(2 ** KEY_BITS - 1), { minLength: 1, maxLength: 5 }));
  const ends = [...new Set([...drawn, ...(before?.arcs.map((arc) => arc.end as number) ?? [])])].sort((a, b) => a - b);
  const arcs = ends.map((end) => {
    const old = before === null ? set() : replicaSets(before, position(end)).new;
    return { end: position(end), old, new: draw(g, fc.boolean()) ? old : set(), since: new Map() };
  });
  return { ...base, phase: 'moving', arcs };
}

type Kind = 'object' | 'tombstone';
const opposite = (kind: Kind): Kind => (kind === 'object' ? 'tombstone' : 'object');

/** Without a joint quorum's worth of them, the others still are one. */
function drawLaggards(g: Draw, sets: { readonly old: readonly NodeId[]; readonly new: readonly NodeId[]; readonly all: readonly NodeId[] }): Set<NodeId> {
  const laggards = new Set<NodeId>();
  const canMiss = (set: readonly NodeId[]): boolean => set.filter((id) => laggards.has(id)).length <= Math.ceil(set.length / 2) - 1;
  for (const id of draw(g, fc.shuffledSubarray([...sets.all]))) {
    laggards.add(id);
    if (!canMiss(sets.old) || !canMiss(sets.new)) laggards.delete(id);
  }
  return laggards;
}

function hasQuorums(layout: Layout, down: ReadonlySet<NodeId>): boolean {
  return layout.arcs.every((arc) => [arc.old, arc.new].every((set) => set.filter((id) => !down.has(id)).length > set.length / 2));
}

interface Shown {
  readonly objects: string[];
  readonly prefixes: string[];
  readonly pages: number;
}

async function walk(ring: ListingRing, at: ListingNode, request: Partial<ListRequest> & { readonly limit: number }): Promise<Shown> {
  const shown: Shown = { objects: [], prefixes: [], pages: 0 };
  let pages = 0;
  for (let cursor: string | null = null; pages === 0 || cursor !== null;) {
    const page = await ring.list(at, { ...request, cursor });
    if (page.kind === 'failed') throw new Error(`${page.code}: ${page.detail}`);
    expect(page.objects.length + page.commonPrefixes.length).toBeLessThanOrEqual(request.limit);
    shown.objects.push(...page.objects.map(({ name }) => name));
    shown.prefixes.push(...page.commonPrefixes);
    cursor = page.cursor;
    pages += 1;
    expect(pages).toBeLessThan(300);
  }
  return { ...shown, pages };
}

function expectOrdered(names: readonly string[]): void {
  for (let i = 1; i < names.length; i++) expect(Buffer.compare(Buffer.from(names[i - 1] ?? ''), Buffer.from(names[i] ?? ''))).toBe(-1);
}

/** What the names are shown as: themselves, and common prefixes. */
function viewOf(names: readonly string[], prefix: string, delimiter: string | null): { objects: Set<string>; prefixes: Set<string> } {
  const objects = new Set<string>();
  const prefixes = new Set<string>();
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    const at = delimiter === null ? -1 : name.indexOf(delimiter, prefix.length);
    if (at < 0 || delimiter === null) objects.add(name);
    else prefixes.add(name.slice(0, at + delimiter.length));
  }
  return { objects, prefixes };
}

function expectShown(shown: Shown, always: readonly string[], maybe: readonly string[], prefix: string, delimiter: string | null): void {
  expectOrdered(shown.objects);
  expectOrdered(shown.prefixes);
  const sure = viewOf(always, prefix, delimiter);
  const possible = viewOf([...always, ...maybe], prefix, delimiter);
  expect(shown.objects.filter((name) => !possible.objects.has(name))).toEqual([]);
  expect(shown.prefixes.filter((text) => !possible.prefixes.has(text))).toEqual([]);
  expect([...sure.objects].filter((name) => !shown.objects.includes(name))).toEqual([]);
  expect([...sure.prefixes].filter((text) => !shown.prefixes.includes(text))).toEqual([]);
}

const drawSelection = (g: Draw): { prefix: string; delimiter: string | null; limit: number } => ({
  prefix: draw(g, fc.oneof({ weight: 3, arbitrary: fc.constant('') }, { weight: 1, arbitrary: NAME })),
  delimiter: draw(g, fc.constantFrom(null, '/', 'a', 'b/')),
  limit: draw(g, fc.integer({ min: 1, max: 9 })),
});
const drawOptions = (g: Draw) => ({ entriesMax: draw(g, fc.integer({ min: 1, max: 9 })), looksMax: draw(g, fc.integer({ min: 1, max: 9 })) });

test('shows every chosen live object once and in order, whoever lags, keeps leftovers, or is down', async () => {
  await fc.assert(fc.asyncProperty(fc.gen(), async (g) => {
    const nodeCount = draw(g, fc.integer({ min: 1, max: 6 }));
    const layout = drawLayout(g, nodeCount, 2, draw(g, fc.boolean()) ? drawLayout(g, nodeCount, 1, null) : null);
    const ring = new ListingRing(layout, drawOptions(g));
    const always: string[] = [];
    const maybe: string[] = [];
    const chosen = new Map<string, Kind>();
    ring.found = (name) => (chosen.get(name) === 'object' ? found(ballot(10)) : { kind: 'absent' });
    for (const name of draw(g, NAMES)) {
      const sets = replicaSets(layout, hasher(name, KEY_BITS));
      const kind = draw(g, fc.constantFrom<Kind>('object', 'object', 'tombstone'));
      chosen.set(name, kind);
      const laggards = drawLaggards(g, sets);
      for (const node of ring.nodes) {
        if (!sets.all.includes(node.id)) {
          if (draw(g, fc.boolean())) ring.write(node.id, name, ballot(99), opposite(kind));
        } else if (!laggards.has(node.id)) {
          ring.write(node.id, name, ballot(10), kind);
        } else if (draw(g, fc.boolean())) {
          ring.write(node.id, name, ballot(5), opposite(kind));
        }
      }
      const isUnfinished = draw(g, fc.nat(4)) === 0;
      if (isUnfinished) ring.write(draw(g, fc.constantFrom(...sets.all)), name, ballot(20), opposite(kind));
      if (isUnfinished && sets.all.length === 1) maybe.push(name);
      else if (kind === 'object') always.push(name);
    }
    const ids = ring.nodes.map((node) => node.id);
    const down = new Set(nodeCount >= 3 ? draw(g, fc.shuffledSubarray(ids, { maxLength: 3 })) : []);
    for (const id of ids) if (!hasQuorums(layout, down)) down.delete(id);
    const how = draw(g, fc.constantFrom('lose', 'hang'));
    ring.interfere = (to) => (down.has(to) ? how : undefined);
    const { prefix, delimiter, limit } = drawSelection(g);
    const shown = await walk(ring, draw(g, fc.constantFrom(...ring.nodes)), { prefix, delimiter, limit });
    expectShown(shown, always, maybe, prefix, delimiter);
    // Nobody who is down is waited for while the others are a quorum.
    expect(ring.clock.nowMs).toBe(0);
  }), { numRuns: 400 });
});

test('shows what is there all the time exactly once while other names come and go and the layout moves', async () => {
  let moves = 0;
  await fc.assert(fc.asyncProperty(fc.gen(), async (g) => {
    const nodeCount = draw(g, fc.integer({ min: 3, max: 6 }));
    let layout = drawLayout(g, nodeCount, 1, null);
    const ring = new ListingRing(layout, drawOptions(g));
    const names = draw(g, NAMES);
    const always = names.filter(() => draw(g, fc.boolean()));
    const changing = names.filter((name) => !always.includes(name));
    let hlc = 1;
    const kinds = new Map<string, Kind>(names.map((name) => [name, 'object']));
    ring.found = (name) => (kinds.get(name) === 'object' ? found(ballot(hlc, layout.epoch)) : { kind: 'absent' });
    const write = (name: string, withLaggards: boolean): void => {
      const sets = replicaSets(layout, hasher(name, KEY_BITS));
      const laggards = withLaggards ? drawLaggards(g, sets) : new Set();
      for (const id of sets.all) if (!laggards.has(id)) ring.write(id, name, ballot(hlc, layout.epoch), kinds.get(name) ?? 'object');
      hlc += 1;
    };
    for (const name of names) write(name, true);
    const move = (): void => {
      layout = drawLayout(g, nodeCount, layout.epoch + 1, layout);
      for (const name of names) write(name, false);
      // Whoever hasn't adopted it is told by the listing, or tells it.
      for (const node of ring.nodes) if (draw(g, fc.boolean())) void node.views.adopt(layout);
      moves += 1;
    };
    let calls = 0;
    ring.interfere = () => {
      calls += 1;
      for (const name of changing.filter(() => draw(g, fc.nat(3)) === 0)) {
        kinds.set(name, opposite(kinds.get(name) ?? 'object'));
        write(name, true);
      }
      if (calls < 60 && draw(g, fc.nat(7)) === 0) move();
      return undefined;
    };
    const { prefix, delimiter, limit } = drawSelection(g);
    const shown = await walk(ring, draw(g, fc.constantFrom(...ring.nodes)), { prefix, delimiter, limit });
    expectShown(shown, always, changing, prefix, delimiter);
  }), { numRuns: 200 });
  expect(moves).toBeGreaterThan(100);
});
