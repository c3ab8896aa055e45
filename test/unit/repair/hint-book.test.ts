import { describe, expect, test } from '@jest/globals';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { WallMs } from '../../../src/domain/instant.ts';
import { HintBook, type HintDrop } from '../../../src/repair/hint-book.ts';
import { ballot, keyAt, node } from '../storage/store-fixture.ts';

const [B, C] = [node(2), node(3)];
const at = (ms: number): WallMs => ms as WallMs;

function bookOf(entriesMax = 10): { book: HintBook; drops: (readonly [HintDrop, number])[] } {
  const drops: (readonly [HintDrop, number])[] = [];
  return { book: new HintBook((reason, count) => { drops.push([reason, count]); }, { entriesMax, ageMaxMs: 1_000 }), drops };
}

const keysOf = (book: HintBook, of: NodeId, max = 10): readonly string[] => (book.oldest(of, max)?.entries ?? []).map(({ key }) => key);

describe('hints', () => {
  test('are kept for each node, the oldest first, one for each key with its newest ballot', () => {
    const { book } = bookOf();
    book.add(B, keyAt(1), ballot(1), 'write', at(5));
    book.add(C, keyAt(9), ballot(1), 'write', at(3));
    book.add(B, keyAt(2), ballot(2), 'write', at(6));
    book.add(B, keyAt(1), ballot(3), 'write', at(7));
    book.add(B, keyAt(1), ballot(2), 'write', at(8));
    expect(book.oldest(B, 10)).toEqual({ cause: 'write', entries: [{ key: keyAt(1), accepted: ballot(3) }, { key: keyAt(2), accepted: ballot(2) }] });
    expect([book.count, book.countOf(B), book.countOf(C), book.oldestAt]).toEqual([3, 2, 1, 3]);
    expect(keysOf(book, B, 1)).toEqual([keyAt(1)]);
  });

  test('that were delivered are forgotten, but not one with a newer ballot since', () => {
    const { book } = bookOf();
    for (const key of [keyAt(1), keyAt(2)]) book.add(B, key, ballot(1), 'write', at(0));
    const told = book.oldest(B, 10)?.entries ?? [];
    book.add(B, keyAt(2), ballot(5), 'write', at(1));
    book.delivered(B, told);
    expect(book.oldest(B, 10)?.entries).toEqual([{ key: keyAt(2), accepted: ballot(5) }]);
    book.delivered(B, [{ key: keyAt(2), accepted: ballot(5) }]);
    expect([book.count, book.nodes(), book.oldestAt]).toEqual([0, [], null]);
  });

  test('are never more than fit, and those given up are counted with the reason', () => {
    const { book, drops } = bookOf(2);
    for (const [i, of] of [B, C, B, C].entries()) book.add(of, keyAt(i), ballot(1), 'write', at(i * 600));
    expect([book.count, drops]).toEqual([2, [['full', 1], ['full', 1]]]);
    book.add(B, keyAt(0), ballot(2), 'write', at(2_400));
    expect(book.oldest(B, 1)?.entries[0]?.accepted).toEqual(ballot(2));
    book.tidy((id) => id === B, at(900));
    expect(drops.at(-1)).toEqual(['left', 1]);
    book.tidy(() => true, at(1_001));
    expect([book.count, drops.at(-1)]).toEqual([0, ['expired', 1]]);
  });

  test('of different causes are not told in one message', () => {
    const { book } = bookOf();
    book.add(B, keyAt(1), ballot(1), 'read', at(0));
    book.add(B, keyAt(2), ballot(1), 'write', at(0));
    expect(book.oldest(B, 10)).toMatchObject({ cause: 'read', entries: [{ key: keyAt(1) }] });
  });
});
