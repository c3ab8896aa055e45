import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ObjectKey } from '../../../src/domain/ring-position.ts';
import { NameIndex, type NamedKey } from '../../../src/storage/name-index.ts';
import { ballot, bodyId, keyAt, liveRecord, opened, tombstone } from './store-fixture.ts';
import { testSimDisk } from './test-disk.ts';

const KEY_HEX = 40;

/** The index beside what it should be: a map from name to key; removed names stay in the index until they are swept. */
class Model {
  readonly names = new Map<string, ObjectKey>();
  readonly index = new NameIndex((bytes, at) => this.#keys.has(bytes.toString('hex', at, at + KEY_HEX / 2)));
  readonly #keys = new Set<string>();
  #count = 0;

  add(name: string): void {
    if (this.names.has(name)) return;
    const key = keyAt(++this.#count % 97, this.#count);
    this.names.set(name, key);
    this.#keys.add(key);
    this.index.add(name, key);
  }

  remove(name: string): void {
    this.#keys.delete(this.names.get(name) ?? '');
    this.names.delete(name);
  }

  expected(prefix: string, from: { name: string; isInclusive: boolean } | null): string[] {
    return [...this.names.keys()]
      .filter((name) => Buffer.from(name).subarray(0, Buffer.byteLength(prefix)).equals(Buffer.from(prefix)))
      .filter((name) => {
        if (from === null) return true;
        const order = Buffer.compare(Buffer.from(name), Buffer.from(from.name));
        return order > 0 || (order === 0 && from.isInclusive);
      })
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  walked(prefix: string, from: { name: string; isInclusive: boolean } | null, limit = Infinity): string[] {
    const found: NamedKey[] = [];
    this.index.walk(prefix, from, (each) => {
      if (found.length === limit) return 'stop';
      found.push(each);
      return 'go-on';
    });
    for (const { name, key } of found) expect(key).toBe(this.names.get(name));
    return found.map(({ name }) => name);
  }
}

/** Names that begin alike, are beginnings of each other, and whose UTF-8 order isn't their UTF-16 order. */
const someName = fc.oneof(
  fc.array(fc.constantFrom('a', 'b', '/', 'é', '\u{ffff}', '\u{1f600}'), { minLength: 1, maxLength: 6 }).map((parts) => parts.join('')),
  fc.nat(300).map((n) => `${'long/'.repeat(40)}${n}`),
  fc.nat(30).map((n) => 'x'.repeat(1 + n * 34)),
);
const somePlace = fc.option(fc.record({ name: someName, isInclusive: fc.boolean() }), { nil: null });
const someStep = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('add' as const), name: someName }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('remove' as const), nth: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const), blocks: fc.nat(20) }) },
);

describe('the name index', () => {
  test('is a sorted set of names, whenever it was sealed', () => {
    fc.assert(fc.property(
      fc.array(someStep, { maxLength: 400, size: 'max' }), fc.nat(400), fc.constantFrom('', 'a', 'é', 'long/long/', 'x', '\u{1f600}', 'zz'), somePlace,
      (steps, sealAt, prefix, from) => {
        const model = new Model();
        const seal = (): void => { model.index.seal(); };
        steps.forEach((step, i) => {
          if (i === Math.min(sealAt, steps.length - 1)) seal();
          if (step.kind === 'add') model.add(step.name);
          else if (step.kind === 'sweep') model.index.sweep(step.blocks);
          else model.remove([...model.names.keys()][step.nth % Math.max(1, model.names.size)] ?? '');
        });
        if (steps.length === 0) seal();
        expect(model.walked('', null)).toEqual(model.expected('', null));
        expect(model.walked(prefix, from)).toEqual(model.expected(prefix, from));
        expect(model.walked(prefix, from, 3)).toEqual(model.expected(prefix, from).slice(0, 3));
        model.index.sweep(1000);
        expect(model.walked('', null)).toEqual(model.expected('', null));
        const bytes = [...model.names.keys()].reduce((sum, name) => sum + Buffer.byteLength(name) + 22, 0);
        expect(model.index.allocatedBytes).toBe(bytes);
      },
    ), { numRuns: 150 });
  });

  test('takes names of the longest kind and one name twice', () => {
    const model = new Model();
    for (let n = 0; n < 20; n++) model.add(`${'é'.repeat(511)}${String(n).padStart(2, '0')}`);
    model.index.add('twice', keyAt(1, 1));
    model.index.add('twice', keyAt(1, 1));
    model.index.seal();
    model.add('twice');
    expect(model.walked('', null)).toEqual(model.expected('', null));
  });

  test('begins behind any place, whole name or not', () => {
    const model = new Model();
    model.index.seal();
    for (let n = 0; n < 2000; n++) model.add(`name ${n}`);
    for (const name of ['', 'name', 'name 1', 'name 1000', 'name 1000 ', 'zzz', 'z'.repeat(5000)]) {
      for (const isInclusive of [true, false]) {
        expect(model.walked('name 1', { name, isInclusive })).toEqual(model.expected('name 1', { name, isInclusive }));
      }
    }
  });

  test('forgets the names of registers that were released, a few with each release', () => {
    const model = new Model();
    for (let n = 0; n < 5000; n++) model.add(`name ${n}`);
    model.index.seal();
    for (let n = 0; n < 5000; n += 2) {
      model.remove(`name ${n}`);
      if (n % 16 === 0) model.index.sweep(1);
    }
    const left = [...model.names.keys()].reduce((sum, name) => sum + name.length + 22, 0);
    expect(model.index.allocatedBytes).toBeLessThan(1.3 * left);
    expect(model.walked('', null)).toEqual(model.expected('', null));
  });
});

describe('listing the store', () => {
  const names = ['b', 'a/2', 'a/1', '\u{1f600}', '\u{ffff}', 'a'];
  const sorted = ['a', 'a/1', 'a/2', 'b', '\u{ffff}', '\u{1f600}'];

  test('shows accepted registers in byte order with their versions, before and after a restart', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    for (const [i, name] of names.entries()) await store.accept(keyAt(i), name, ballot(i + 10), liveRecord(ballot(i + 1), bodyId(i), i));
    await store.promise(keyAt(50), 'only promised', ballot(1), null);
    await store.accept(keyAt(1), 'a/2', ballot(30), tombstone(ballot(30)));
    for (const isRestarted of [false, true]) {
      if (isRestarted) {
        await store.close();
        store = await opened(disk.boot());
      }
      const { entries, isLast } = store.scanNames('', null, 100);
      expect(entries.map(({ name }) => name)).toEqual(sorted);
      expect(isLast).toBe(true);
      expect(entries[0]).toEqual({ name: 'a', key: keyAt(5), accepted: ballot(15), version: ballot(6), kind: 'object', size: 5 });
      expect(entries[2]).toEqual({ name: 'a/2', key: keyAt(1), accepted: ballot(30), version: ballot(30), kind: 'tombstone', size: 0 });
    }
    const first = store.scanNames('a', null, 2);
    expect(first).toMatchObject({ entries: [{ name: 'a' }, { name: 'a/1' }], isLast: false });
    expect(store.scanNames('a', { name: 'a/1', isInclusive: false }, 2)).toMatchObject({ entries: [{ name: 'a/2' }], isLast: true });
    expect(store.scanNames('a/', { name: 'a', isInclusive: true }, 2)).toMatchObject({ entries: [{ name: 'a/1' }, { name: 'a/2' }], isLast: true });
    expect(store.scanNames('', null, 6).isLast).toBe(true);
    expect(store.scanNames('c', null, 6)).toEqual({ entries: [], isLast: true });
    expect(store.scanNames('', null, 0)).toEqual({ entries: [], isLast: false });
  });

  test('does not show what was released, and shows it again when it came back', async () => {
    const disk = testSimDisk('1');
    let store = await opened(disk.boot());
    for (const [i, name] of names.entries()) await store.accept(keyAt(i), name, ballot(1), tombstone(ballot(1)));
    await store.release([{ key: keyAt(0), accepted: ballot(1) }, { key: keyAt(2), accepted: ballot(1) }]);
    await store.accept(keyAt(2), 'a/1', ballot(2), liveRecord(ballot(2), bodyId(2), 7));
    for (const isRestarted of [false, true]) {
      if (isRestarted) {
        await store.close();
        store = await opened(disk.boot());
      }
      const { entries } = store.scanNames('', null, 100);
      expect(entries.map(({ name }) => name)).toEqual(sorted.filter((name) => name !== 'b'));
      expect(entries.find(({ name }) => name === 'a/1')).toMatchObject({ kind: 'object', size: 7 });
    }
  });
});
