import { describe, expect, test } from '@jest/globals';
import { ZERO_BALLOT } from '../../../src/domain/ballot.ts';
import type { NodeId } from '../../../src/domain/ids.ts';
import type { Layout } from '../../../src/domain/layout.ts';
import { acceptorStep, EMPTY_SLOT, type AcceptorState, type ChainReply, type ChainRequest } from '../../../src/layout/chain-acceptor.ts';
import { chainBallot, proposerStep, startProposal, type ProposerEffect, type ProposerState } from '../../../src/layout/chain-proposer.ts';
import { layoutOf, memberAt, nodeIdOf } from '../ring/ring-fixture.ts';

const [a, b, c] = ['a', 'b', 'c'].map(nodeIdOf) as [NodeId, NodeId, NodeId];
const layout = layoutOf([memberAt('a', [64]), memberAt('b', [128]), memberAt('c', [192]), memberAt('d', [250])], { epoch: 4 });
const valueX: Layout = { ...layout, epoch: 5, replicas: 2 };
const valueY: Layout = { ...layout, epoch: 5, replicas: 1 };
const low = chainBallot(layout, 10, a);
const high = chainBallot(layout, 20, b);

const voter = (change: Partial<AcceptorState> = {}): AcceptorState => ({ self: a, layout, slot: EMPTY_SLOT, ...change });
const prepare = (ballot = low, carried = layout): ChainRequest => ({ kind: 'prepare', layout: carried, ballot });
const accept = (ballot = low, value = valueX): ChainRequest => ({ kind: 'accept', layout, ballot, value });

describe('chain acceptor', () => {
  test('adopts a newer carried layout before it looks at its slot', () => {
    const stale = { ...layout, epoch: 3 };
    const voted = { promised: chainBallot(stale, 99, c), accepted: { ballot: chainBallot(stale, 99, c), value: layout } };
    expect(acceptorStep(voter({ layout: stale, slot: voted }), prepare())).toEqual({ kind: 'adopt', layout });
    expect(acceptorStep(voter({ layout: null }), accept())).toEqual({ kind: 'adopt', layout });
  });

  test('answers a carried layout that is older with its own', () => {
    const own = { ...layout, epoch: 5 };
    expect(acceptorStep(voter({ layout: own }), prepare())).toEqual({ kind: 'reply', reply: { kind: 'layout', layout: own } });
  });

  test('has no vote where the layout names it not', () => {
    expect(acceptorStep(voter({ self: nodeIdOf('d') }), prepare())).toEqual({ kind: 'reply', reply: { kind: 'layout', layout } });
  });

  test('promises only strictly higher ballots and reports what it accepted', () => {
    const accepted = { ballot: low, value: valueX };
    const state = voter({ slot: { promised: low, accepted } });
    expect(acceptorStep(state, prepare(low))).toEqual({ kind: 'reply', reply: { kind: 'refused', promised: low } });
    expect(acceptorStep(state, prepare(high))).toEqual({
      kind: 'vote', slot: { promised: high, accepted }, reply: { kind: 'promised', ballot: high, accepted },
    });
  });

  test('accepts at or above its promise, and the same again', () => {
    const slot = { promised: low, accepted: { ballot: low, value: valueX } };
    expect(acceptorStep(voter({ slot: { promised: low, accepted: null } }), accept(low))).toEqual({ kind: 'vote', slot, reply: { kind: 'accepted', ballot: low } });
    expect(acceptorStep(voter({ slot }), accept(low))).toEqual({ kind: 'vote', slot, reply: { kind: 'accepted', ballot: low } });
    expect(acceptorStep(voter({ slot: { promised: high, accepted: null } }), accept(low))).toEqual({ kind: 'reply', reply: { kind: 'refused', promised: high } });
  });

  test('asserts that a value is for the next epoch', () => {
    expect(() => acceptorStep(voter(), accept(low, { ...valueX, epoch: 6 }))).toThrow('next epoch');
  });
});

/** Feeds replies to a proposer; returns its effects after the first. */
function run(wish: Layout | null, replies: readonly (readonly [NodeId, ChainReply])[], ballot = high): { effects: ProposerEffect[]; state: ProposerState } {
  let { state } = startProposal(layout, ballot, wish);
  const effects: ProposerEffect[] = [];
  for (const [from, reply] of replies) {
    const step = proposerStep(state, from, reply);
    state = step.state;
    effects.push(...step.effects);
  }
  return { effects, state };
}

const promised = (accepted: { ballot: typeof low; value: Layout } | null = null): ChainReply => ({ kind: 'promised', ballot: high, accepted });
const acceptedReply: ChainReply = { kind: 'accepted', ballot: high };

describe('chain proposer', () => {
  test('prepares at the voters of the carried layout', () => {
    expect(startProposal(layout, high, valueX).effects).toEqual([{ kind: 'send', to: layout.voters, request: prepare(high) }]);
  });

  test('decides when a majority promised and a majority accepted', () => {
    const { effects, state } = run(valueX, [[a, promised()], [b, promised()], [a, acceptedReply], [a, acceptedReply], [c, acceptedReply]]);
    expect(effects).toEqual([{ kind: 'send', to: layout.voters, request: accept(high) }, { kind: 'decided', layout: valueX }]);
    expect(state.phase).toBe('ended');
  });

  test('takes over the accepted value with the highest ballot, but not as decided', () => {
    const older = { ballot: chainBallot(layout, 1, c), value: valueX };
    const newer = { ballot: low, value: valueY };
    for (const [first, second] of [[older, newer], [newer, older]] as const) {
      const { effects } = run({ ...layout, epoch: 5 }, [[a, promised(first)], [b, promised(second)]]);
      expect(effects).toEqual([{ kind: 'send', to: layout.voters, request: accept(high, valueY) }]);
    }
  });

  test('a probe brings a half-done round to its end, and stops where there is none', () => {
    expect(run(null, [[a, promised({ ballot: low, value: valueX })], [b, promised()]]).effects).toEqual([{ kind: 'send', to: layout.voters, request: accept(high) }]);
    expect(run(null, [[a, promised()], [b, promised()]]).effects).toEqual([{ kind: 'idle' }]);
  });

  test('counts each voter once, voters alone and its own ballot alone', () => {
    const d = nodeIdOf('d');
    const other: ChainReply = { kind: 'promised', ballot: low, accepted: null };
    expect(run(valueX, [[a, promised()], [a, promised()], [d, promised()], [b, other]]).effects).toEqual([]);
    const accepts = run(valueX, [[a, promised()], [b, promised()], [d, acceptedReply], [a, { kind: 'accepted', ballot: low }], [b, acceptedReply]]);
    expect(accepts.effects).toHaveLength(1);
  });

  test('ends when a higher ballot was promised or a newer layout is shown', () => {
    const higher = chainBallot(layout, 30, c);
    expect(run(valueX, [[a, { kind: 'refused', promised: higher }]]).effects).toEqual([{ kind: 'refused', promised: higher }]);
    expect(run(valueX, [[a, { kind: 'refused', promised: high }]]).effects).toEqual([]);
    expect(run(valueX, [[nodeIdOf('d'), { kind: 'layout', layout: valueY }], [a, promised()], [b, promised()]]).effects).toEqual([{ kind: 'superseded', layout: valueY }]);
    expect(run(valueX, [[a, { kind: 'layout', layout }]]).effects).toEqual([]);
  });

  test('works with an acceptor: two rounds, one decision', () => {
    const slots = new Map([a, b, c].map((id) => [id, EMPTY_SLOT]));
    expect(slots.get(a)?.promised).toEqual(ZERO_BALLOT);
    const ask = (id: NodeId, request: ChainRequest): ChainReply => {
      const step = acceptorStep({ self: id, layout, slot: slots.get(id) ?? EMPTY_SLOT }, request);
      if (step.kind === 'adopt') throw new Error('same layout everywhere');
      if (step.kind === 'vote') slots.set(id, step.slot);
      return step.reply;
    };
    // The first round reaches a and b, but its ACCEPT only b.
    for (const id of [a, b]) ask(id, prepare(low));
    ask(b, accept(low, valueX));
    const replies = [b, c].map((id) => [id, ask(id, prepare(high))] as const);
    const second = run(valueY, replies);
    const sent = second.effects[0];
    if (sent?.kind !== 'send') throw new Error('an accept goes out');
    const last = run(valueY, [...replies, ...[c, a].map((id) => [id, ask(id, sent.request)] as const)]);
    expect(last.effects.at(-1)).toEqual({ kind: 'decided', layout: valueX });
    expect(ask(b, accept(low, valueX))).toEqual({ kind: 'refused', promised: high });
  });
});
