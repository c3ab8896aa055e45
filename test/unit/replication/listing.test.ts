import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { ListOutcome } from '../../../src/domain/object-operation.ts';
import { behind, cursorText, parseCursor } from '../../../src/replication/list-cursor.ts';
import { found, ListingRing, type ListingNode } from '../../support/listing-ring.ts';
import { ballot, nodeId } from '../../support/register-replica.ts';
import { layoutOf as arcLayout, OPTIONS, ReplicaRing } from '../../support/replica-ring.ts';
import { layoutOf, memberAt } from '../ring/ring-fixture.ts';

const SIZES = { entriesMax: 100, looksMax: 200 };

/** Three nodes that all hold everything. */
function ringOf(names: readonly string[], options = SIZES): { ring: ListingRing; first: ListingNode } {
  const ring = new ListingRing(layoutOf([memberAt('a', [1]), memberAt('b', [90]), memberAt('c', [170])]), options);
  for (const name of names) for (const { id } of ring.nodes) ring.write(id, name, ballot(1024_000_000), 'object', 7);
  const [first] = ring.nodes;
  if (first === undefined) throw new Error('no node');
  return { ring, first };
}

function page(outcome: ListOutcome): Extract<ListOutcome, { kind: 'page' }> {
  if (outcome.kind === 'failed') throw new Error(outcome.detail);
  return outcome;
}

describe('a page', () => {
  test('has size, etag and time of each object, and no cursor when nothing follows', async () => {
    const { ring, first } = ringOf(['b', 'a']);
    expect(await ring.list(first, {})).toEqual({
      kind: 'page',
      objects: ['a', 'b'].map((name) => ({ name, size: 7, etag: `"1-3d090000-${'a'.repeat(32)}"`, modified: '1970-01-01T00:16:40.000Z' })),
      commonPrefixes: [],
      cursor: null,
    });
  });

  test('that is full leads on, also when it ends at a common prefix', async () => {
    const { ring, first } = ringOf(['a/1', 'a/2', 'b', 'c/1', 'd']);
    const one = page(await ring.list(first, { delimiter: '/', limit: 1 }));
    expect(one).toMatchObject({ objects: [], commonPrefixes: ['a/'] });
    const two = page(await ring.list(first, { delimiter: '/', limit: 2, cursor: one.cursor }));
    expect(two).toMatchObject({ objects: [{ name: 'b' }], commonPrefixes: ['c/'] });
    const three = page(await ring.list(first, { delimiter: '/', limit: 2, cursor: two.cursor }));
    expect(three).toMatchObject({ objects: [{ name: 'd' }], commonPrefixes: [], cursor: null });
  });

  test('takes one question to each node when nothing is in the way', async () => {
    const { ring, first } = ringOf(Array.from({ length: 60 }, (_, i) => `n${i}`));
    expect(page(await ring.list(first, { limit: 50 })).objects).toHaveLength(50);
    expect(ring.listCalls).toHaveLength(3);
    expect(ring.reads).toEqual([]);
  });

  test('of common prefixes asks for a few names of each only', async () => {
    const names = Array.from({ length: 40 }, (_, group) => Array.from({ length: 50 }, (__, i) => `g${String(group).padStart(2, '0')}/${i}`)).flat();
    const { ring, first } = ringOf(names, { entriesMax: 1000, looksMax: 10_000 });
    expect(page(await ring.list(first, { delimiter: '/', limit: 30 })).commonPrefixes).toHaveLength(30);
    expect(ring.listCalls).toHaveLength(3);
  });

  test('shows a prefix behind any number of tombstones', async () => {
    const { ring, first } = ringOf(['g/z']);
    for (let i = 0; i < 500; i++) for (const { id } of ring.nodes) ring.write(id, `g/${i}`, ballot(9), 'tombstone');
    expect(page(await ring.list(first, { delimiter: '/' }))).toMatchObject({ commonPrefixes: ['g/'], cursor: null });
    expect(ring.listCalls.length).toBeLessThan(50);
  });

  test('with a cursor of before its prefix begins at the prefix, and behind it is empty', async () => {
    const { ring, first } = ringOf(['a', 'm1', 'm2', 'z']);
    expect(page(await ring.list(first, { prefix: 'm', cursor: cursorText({ kind: 'name', text: 'a' }) })).objects.map(({ name }) => name)).toEqual(['m1', 'm2']);
    expect(page(await ring.list(first, { prefix: 'm', cursor: cursorText({ kind: 'name', text: 'z' }) }))).toMatchObject({ objects: [], cursor: null });
  });
});

describe('a name on which the replicas that answer do not agree', () => {
  /** A delete of `b` that one replica accepted, above what all three hold; the third doesn't answer. */
  function halfDeleted(): { ring: ListingRing; first: ListingNode } {
    const { ring, first } = ringOf(['a', 'b', 'c', 'd']);
    ring.write(first.id, 'b', ballot(2048_000_000), 'tombstone');
    ring.interfere = (to) => (to === ring.nodes[2]?.id ? 'lose' : undefined);
    return { ring, first };
  }
  const names = (outcome: ListOutcome): readonly string[] => page(outcome).objects.map(({ name }) => name);

  test('is read, and shown when it is there', async () => {
    const { ring, first } = halfDeleted();
    ring.found = () => found(ballot(3072_000_000));
    expect(page(await ring.list(first, {})).objects[1]).toEqual({ name: 'b', size: 1, etag: `"1-b71b0000-${'a'.repeat(32)}"`, modified: '1970-01-01T00:50:00.000Z' });
    expect(ring.reads).toEqual(['b']);
  });

  test('is passed by when the read finds nothing, and the page is filled with what follows', async () => {
    const { ring, first } = halfDeleted();
    expect(names(await ring.list(first, { limit: 3 }))).toEqual(['a', 'c', 'd']);
  });

  test('is read too when it is the first that finds no room, and is on the next page', async () => {
    const { ring, first } = halfDeleted();
    ring.found = () => found(ballot(3));
    const one = await ring.list(first, { limit: 1 });
    expect(names(one)).toEqual(['a']);
    expect(names(await ring.list(first, { limit: 1, cursor: page(one).cursor }))).toEqual(['b']);
  });

  test('decides about its common prefix', async () => {
    const { ring, first } = ringOf(['x/1', 'y/1', 'z']);
    for (const name of ['x/1', 'y/1']) ring.write(first.id, name, ballot(2048_000_000), 'tombstone');
    ring.interfere = (to) => (to === ring.nodes[2]?.id ? 'lose' : undefined);
    ring.found = (name) => (name === 'y/1' ? found(ballot(3)) : { kind: 'absent' });
    expect(page(await ring.list(first, { delimiter: '/' }))).toMatchObject({ objects: [{ name: 'z' }], commonPrefixes: ['y/'] });
  });

  test('ends the page before it when it can not be read', async () => {
    const { ring, first } = halfDeleted();
    ring.found = () => ({ kind: 'unavailable', code: 'DHT_ERR_NO_QUORUM', detail: 'two of three are away' });
    const half = await ring.list(first, {});
    expect(names(half)).toEqual(['a']);
    expect(await ring.list(first, { cursor: page(half).cursor })).toEqual({ kind: 'failed', code: 'DHT_ERR_NO_QUORUM', detail: '"b" can\'t be read: two of three are away' });
  });

  test('is read side by side with others like it, some tens at a time', async () => {
    const all = Array.from({ length: 100 }, (_, i) => `n${String(i).padStart(3, '0')}`);
    const { ring, first } = ringOf([], { entriesMax: 1000, looksMax: 1000 });
    for (const name of all) ring.write(first.id, name, ballot(9), 'object');
    ring.interfere = (to) => (to === ring.nodes[2]?.id ? 'lose' : undefined);
    ring.found = () => found(ballot(9));
    expect(names(await ring.list(first, {}))).toEqual(all);
    expect(ring.reads).toEqual(all);
  });

  test('is read during a move when the write is newer than the move, and not when the old replicas alone have it from before', async () => {
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(nodeId) as [NodeId, NodeId, NodeId, NodeId];
    const ring = new ListingRing(arcLayout(4, [a, b, c, d], [a, b, c], [b, c, d]), SIZES);
    for (const id of [a, b, c]) ring.write(id, 'before', ballot(9, 3), 'object');
    for (const id of [a, b]) ring.write(id, 'since', ballot(9, 4), 'object');
    ring.interfere = (to) => (to === c ? 'lose' : undefined);
    ring.found = () => found(ballot(9, 4));
    expect(names(await ring.list(ring.node(a), {}))).toEqual(['before', 'since']);
    expect(ring.reads).toEqual(['since']);
  });
});

describe('a listing', () => {
  test('never waits for a node that is not needed', async () => {
    const { ring, first } = ringOf(['a']);
    ring.interfere = (to) => (to === ring.nodes[2]?.id ? 'hang' : undefined);
    expect(page(await ring.list(first, {})).objects).toHaveLength(1);
    expect(ring.clock.nowMs).toBe(0);
  });

  test('without a quorum for an arc fails and says for how many, and who is silent', async () => {
    const { ring, first } = ringOf(['a']);
    ring.interfere = (to) => (to === first.id ? undefined : 'lose');
    expect(await ring.list(first, {})).toEqual({ kind: 'failed', code: 'DHT_ERR_NO_QUORUM', detail: '3 of 3 arcs of the ring have no quorum; no answer from b:7000, c:7000' });
    expect(ring.clock.nowMs).toBeLessThan(OPTIONS.unreachableDeadlineMs + OPTIONS.backOffMaxMs);
  });

  test('goes on when nodes come back in time', async () => {
    const { ring, first } = ringOf(['a', 'b']);
    ring.interfere = (to) => (to === first.id || ring.clock.nowMs > 100 ? undefined : 'lose');
    expect(page(await ring.list(first, {})).objects).toHaveLength(2);
  });

  test('whose quorum is lost half way gives what it has, and a cursor', async () => {
    const { ring, first } = ringOf(['a', 'b', 'c', 'd'], { entriesMax: 2, looksMax: 9 });
    ring.interfere = (to) => (to === first.id || ring.listCalls.length < 3 ? undefined : 'lose');
    const half = page(await ring.list(first, {}));
    expect(half.objects.map(({ name }) => name)).toEqual(['a', 'b']);
    ring.interfere = () => undefined;
    expect(page(await ring.list(first, { cursor: half.cursor })).objects.map(({ name }) => name)).toEqual(['c', 'd']);
  });

  test('gives up a node whose names are not in order, or that makes no progress', async () => {
    const { ring, first } = ringOf(['a', 'b']);
    const entry = { accepted: ballot(5), version: ballot(5), recordKind: 'object' as const, size: 0 };
    const bad = ring.nodes[1]?.id;
    for (const entries of [[{ ...entry, name: 'b' }, { ...entry, name: 'a' }], [{ ...entry, name: 'a' }, { ...entry, name: 'a' }], []]) {
      ring.interfere = (to) => (to === bad ? { kind: 'list-reply', epoch: 1, entries, isLast: false } : undefined);
      expect(page(await ring.list(first, {})).objects.map(({ name }) => name)).toEqual(['a', 'b']);
    }
  });

  test.each(['x', '', 'AgBh', 'AQJh', 'AQD_', cursorText({ kind: 'name', text: 'a'.repeat(2000) }), `${cursorText({ kind: 'name', text: 'a' })}=`])('refuses the cursor "%s"', async (cursor) => {
    const { ring, first } = ringOf([]);
    expect(await ring.list(first, { cursor })).toMatchObject({ kind: 'failed', code: 'DHT_ERR_REQUEST_INVALID' });
    expect(ring.listCalls).toEqual([]);
  });

  test('refuses an empty delimiter and a prefix that is no beginning of a name', async () => {
    const { ring, first } = ringOf([]);
    for (const wrong of [{ delimiter: '' }, { delimiter: '\udfff' }, { delimiter: 'x'.repeat(1025) }, { prefix: 'x'.repeat(1025) }, { prefix: '\ud800' }]) {
      expect(await ring.list(first, wrong)).toMatchObject({ kind: 'failed', code: 'DHT_ERR_REQUEST_INVALID' });
    }
  });

  test('is refused while too many are in work', async () => {
    const ring = new ReplicaRing(1, (ids) => arcLayout(1, ids, ids));
    ring.interfere = () => 'hang';
    const request = { prefix: '', delimiter: null, limit: 1, cursor: null };
    const { coordinator } = ring.node(0);
    const running = Array.from({ length: OPTIONS.listingsMax }, () => coordinator.list(request));
    expect(await coordinator.list(request)).toMatchObject({ kind: 'failed', code: 'DHT_ERR_OVERLOADED' });
    coordinator.stop();
    await ring.clock.until(Promise.all(running));
    expect(await ring.clock.until(coordinator.list(request))).toMatchObject({ code: 'DHT_ERR_NO_QUORUM' });
  });
});

describe('a source', () => {
  test('answers only in its own epoch, once its gate is open and what it shows is durable', async () => {
    const { ring, first } = ringOf(['a']);
    const request = { kind: 'list' as const, epoch: 2, prefix: '', from: null, limit: 5, grouping: null };
    expect(await first.source.list(request)).toEqual({ kind: 'stale-epoch', epoch: 1, layout: null });
    expect(await first.source.list({ ...request, epoch: 0 })).toMatchObject({ kind: 'stale-epoch', epoch: 1, layout: { epoch: 1 } });
    const events: string[] = [];
    first.names.flushed = () => { events.push('flush'); return Promise.resolve(); };
    first.views.closed = Promise.resolve().then(() => { events.push('open'); first.views.closed = null; });
    expect(await first.source.list({ ...request, epoch: 1 })).toMatchObject({ kind: 'list-reply', isLast: true });
    expect(events).toEqual(['open', 'flush']);
    expect(ring.nodes).toHaveLength(3);
  });

  test('fills at most one frame', async () => {
    const { first } = ringOf(Array.from({ length: 1000 }, (_, i) => `${i}`.padStart(1024, '0')), { entriesMax: 5000, looksMax: 5000 });
    const reply = await first.source.list({ kind: 'list', epoch: 1, prefix: '', from: null, limit: 5000, grouping: null });
    if (reply.kind !== 'list-reply') throw new Error(reply.kind);
    expect(reply.isLast).toBe(false);
    expect(reply.entries.length).toBeGreaterThan(900);
    expect(reply.entries.length).toBeLessThan(1000);
  });
});

describe('cursors', () => {
  test('are read as they were written', () => {
    for (const point of [{ kind: 'name', text: 'ä/\u{1f600}' }, { kind: 'prefix', text: '' }, { kind: 'name', text: '\ufeffa' }] as const) expect(parseCursor(cursorText(point))).toEqual(point);
  });

  test('behind the last possible prefix nothing follows, and behind one of full length only what is no name', () => {
    expect(behind({ kind: 'prefix', text: '\u{10ffff}' })).toBeNull();
    const longest = '\x7f'.repeat(1024);
    expect(behind({ kind: 'prefix', text: longest })).toEqual({ name: longest, isInclusive: false });
  });
});
