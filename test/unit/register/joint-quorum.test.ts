import { describe, expect, test } from '@jest/globals';
import { ALL_RULES } from '../../../src/domain/rules.ts';
import { JointQuorum, majorityOf, replicasOf, votingSets, type ReplicaSets } from '../../../src/register/joint-quorum.ts';
import { nodeId } from '../../support/register-replica.ts';

const ids = (text: string): ReturnType<typeof nodeId>[] => [...text].map(nodeId);
const sets = (old: string, next = old): ReplicaSets => ({ old: ids(old), new: ids(next), isMoving: old !== next });

function quorumOf(of: ReplicaSets, yes: string): boolean {
  const quorum = new JointQuorum(of);
  for (const id of ids(yes)) quorum.add(id);
  return quorum.isMet;
}

test.each([[1, 1], [2, 2], [3, 2], [4, 3], [5, 3]])('a majority of %d is %d', (count, majority) => {
  expect(majorityOf(count)).toBe(majority);
});

describe('a quorum', () => {
  test.each([['a', false], ['ab', true], ['aa', false], ['ad', false], ['abc', true]])('of abc with votes of %s: %p', (yes, isMet) => {
    expect(quorumOf(sets('abc'), yes)).toBe(isMet);
  });
  test.each([['ab', false], ['de', false], ['abde', true], ['ac', false], ['ace', true], ['bcd', true]])('of abc moving to cde with votes of %s: %p', (yes, isMet) => {
    expect(quorumOf(sets('abc', 'cde'), yes)).toBe(isMet);
  });
  test('a joint quorum shares a node with every quorum of old and every quorum of new', () => {
    const all = 'abcde';
    const subsets = Array.from({ length: 32 }, (_, mask) => [...all].filter((_c, i) => (mask >> i) % 2 === 1).join(''));
    for (const joint of subsets.filter((s) => quorumOf(sets('abc', 'cde'), s))) {
      for (const stable of subsets.filter((s) => quorumOf(sets('abc'), s) || quorumOf(sets('cde'), s))) {
        expect([...joint].some((c) => stable.includes(c))).toBe(true);
      }
    }
  });
  test('is impossible once too many of one set failed', () => {
    const quorum = new JointQuorum(sets('abc', 'cde'));
    quorum.fail(nodeId('d'));
    expect(quorum.isImpossible()).toBe(false);
    quorum.fail(nodeId('e'));
    expect(quorum.isImpossible()).toBe(true);
  });
  test('a doubtful node that has voted counts, one that has not does not', () => {
    const quorum = new JointQuorum(sets('abc'));
    quorum.fail(nodeId('a'));
    expect(quorum.isImpossible(new Set(ids('c')))).toBe(true);
    quorum.add(nodeId('c'));
    expect(quorum.isImpossible(new Set(ids('c')))).toBe(false);
  });
});

test('whom to ask: old first, nobody twice', () => {
  expect(replicasOf(sets('abc', 'cda'))).toEqual(ids('abcd'));
});

test('without the rule a move counts only the new set', () => {
  const voting = votingSets(sets('abc', 'cde'), { ...ALL_RULES, jointQuorum: false });
  expect(quorumOf(voting, 'de')).toBe(true);
  expect(votingSets(sets('abc', 'cde'), ALL_RULES)).toEqual(sets('abc', 'cde'));
});
