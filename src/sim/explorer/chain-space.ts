/**
 * State space of the layout chain: a few nodes that vote, a few proposals that may be under way at once, over two or
 * more instances, in every order of messages, with the product's own acceptor, proposer and rules of the next layout.
 *
 * As in register-space.ts a request and its answer are one action; ACCEPT may also lose its answer. A proposer that
 * crashes does nothing any more. Nodes also learn layouts from each other at any time, in any order.
 *
 * Checked: at most one layout is chosen for an epoch, no other is ever taken for decided or adopted (I1), and the nodes that
 * are left can always go on: a majority of the voters of their newest layout is still there.
 */
import { AssertionFailure, must } from '../../domain/assert.ts';
import { equalBallots } from '../../domain/ballot.ts';
import type { NodeId } from '../../domain/ids.ts';
import type { Layout } from '../../domain/layout.ts';
import { isNewer } from '../../layout/adoption.ts';
import { acceptorStep, EMPTY_SLOT, type ChainReply, type ChainRequest, type LayoutSlot } from '../../layout/chain-acceptor.ts';
import { chainBallot, proposerStep, startProposal, type ProposerState } from '../../layout/chain-proposer.ts';
import { isMajority } from '../../layout/next-layout.ts';
import { memberById } from '../../ring/placement.ts';
import { wishOf, type ChainScope } from './chain-scope.ts';
import { Interner } from './interner.ts';
import { layoutLabel, layoutText } from './layout-text.ts';
import { ballotLabel } from './acceptor-cells.ts';
import type { StateSpace } from './search.ts';

type Visit = (next: string, action: () => string) => void;

interface NodeCell {
  readonly layout: Layout | null;
  readonly slot: LayoutSlot;
  /** It has left, with all it knew. */
  readonly isGone: boolean;
}

/** What was decided, epoch by epoch, and how often votes were lost. */
interface Verdict {
  readonly chosen: readonly Layout[];
  readonly votesLost: number;
  readonly wrong: string | null;
}

/** A state while an action is worked out. */
interface Draft {
  readonly nodes: NodeCell[];
  readonly proposals: (ProposerState | null)[];
  verdict: Verdict;
}

export class ChainSpace implements StateSpace {
  readonly #scope: ChainScope;
  readonly #layouts = new Interner<Layout>(layoutText);
  readonly #layoutIds = new WeakMap<Layout, number>();
  readonly #nodes: Interner<NodeCell>;
  readonly #proposals: Interner<ProposerState | null>;
  readonly #verdicts: Interner<Verdict>;
  readonly initial: string;

  constructor(scope: ChainScope) {
    this.#scope = scope;
    const layoutId = (layout: Layout | null): string => (layout === null ? '-' : String(this.#layoutId(layout)));
    const voteText = (vote: { readonly ballot: Parameters<typeof ballotLabel>[0]; readonly value: Layout } | null): string =>
      (vote === null ? '-' : `${ballotLabel(vote.ballot)}=${layoutId(vote.value)}`);
    this.#nodes = new Interner(({ layout, slot, isGone }) => `${layoutId(layout)} ${ballotLabel(slot.promised)} ${voteText(slot.accepted)} ${String(isGone)}`);
    this.#proposals = new Interner((state) => {
      if (state === null) return '';
      const { layout, ballot, wish, phase, promises, value, accepts } = state;
      const heard = phase === 'preparing' ? [...promises].map(([nodeId, vote]) => `${nodeId.charAt(0)}${voteText(vote)}`).sort().join(' ') : '';
      const votes = phase === 'accepting' ? [...accepts].map((nodeId) => nodeId.charAt(0)).sort().join('') : '';
      return `${phase} ${layoutId(layout)} ${ballotLabel(ballot)} ${phase === 'preparing' ? layoutId(wish) : ''} ${layoutId(value)} ${heard} ${votes}`;
    });
    this.#verdicts = new Interner(({ chosen, votesLost, wrong }) => `${chosen.map(layoutId).join(' ')} ${votesLost} ${wrong ?? ''}`);
    this.initial = this.#pack({
      nodes: scope.nodes.map((_, i) => ({ layout: scope.holders.includes(i) ? scope.first : null, slot: EMPTY_SLOT, isGone: false })),
      proposals: scope.proposals.map(() => null),
      verdict: { chosen: [scope.first], votesLost: 0, wrong: null },
    });
  }

  // ------------------------------------------------------------------------------------------------------- actions

  successors(packed: string, visit: Visit): void {
    const state = this.#unpack(packed);
    this.#scope.proposals.forEach((_, p) => {
      this.#start(packed, state, p, visit);
      this.#deliver(packed, state, p, visit);
    });
    state.nodes.forEach((cell, node) => {
      if (cell.isGone) return;
      state.nodes.forEach(({ layout, isGone }, other) => {
        if (isGone || layout === null || !isNewer(layout, cell.layout)) return;
        this.#act(packed, visit, (draft) => { this.#adopt(draft, node, layout); }, () => `${this.#letter(node)} learns ${layoutLabel(layout)} from ${this.#letter(other)}`);
      });
      if (!this.#scope.rules.voteDurable && state.verdict.votesLost < 1 && cell.slot !== EMPTY_SLOT) {
        this.#act(packed, visit, (draft) => {
          draft.nodes[node] = { ...cell, slot: EMPTY_SLOT };
          draft.verdict = { ...draft.verdict, votesLost: 1 };
        }, () => `${this.#letter(node)} crashes, and its vote wasn't durable`);
      }
      if (this.#mayLeave(state, node)) {
        this.#act(packed, visit, (draft) => {
          draft.nodes[node] = { layout: null, slot: EMPTY_SLOT, isGone: true };
          this.#endProposals(draft, node);
        }, () => `${this.#letter(node)} leaves`);
      }
    });
  }

  /** A.4 (9): not a member any more, and the newest layout it knows has a majority of its voters. */
  #mayLeave(state: Draft, node: number): boolean {
    const layout = state.nodes[node]?.layout ?? null;
    const { nodes, rules } = this.#scope;
    if (layout === null || !this.#scope.leavers.includes(node) || memberById(layout, must(nodes[node], 'a node')) !== undefined) return false;
    return !rules.leaverWaits || isMajority(layout.voters, (voter) => (state.nodes[nodes.indexOf(voter)]?.layout?.epoch ?? 0) >= layout.epoch);
  }

  #start(packed: string, state: Draft, p: number, visit: Visit): void {
    const { node, hlc, wish: wanted } = must(this.#scope.proposals[p], 'a proposal');
    const self = must(this.#scope.nodes[node], 'a node');
    const { layout } = must(state.nodes[node], 'a node');
    if (state.proposals[p] !== null || layout === null || memberById(layout, self) === undefined || layout.epoch >= this.#scope.epochMax) return;
    const known = new Map(state.nodes.map((cell, i) => [must(this.#scope.nodes[i], 'a node'), cell.layout?.epoch ?? 0]));
    const wish = wishOf(this.#scope, layout, wanted, known);
    if (wish === null && wanted !== 'probe') return;
    this.#act(packed, visit, (draft) => {
      draft.proposals[p] = startProposal(layout, chainBallot(layout, hlc, self), wish).state;
    }, () => `${this.#letter(node)} begins proposal ${p} after ${layoutLabel(layout)}: ${wish === null ? 'a probe' : layoutLabel(wish)}`);
  }

  #deliver(packed: string, state: Draft, p: number, visit: Visit): void {
    const proposal = state.proposals[p] ?? null;
    if (proposal === null) return;
    const { layout, ballot, phase, value } = proposal;
    for (const voter of layout.voters) {
      const node = this.#scope.nodes.indexOf(voter);
      if (state.nodes[node]?.isGone !== false) continue;
      if (phase === 'preparing' && !proposal.promises.has(voter)) {
        this.#ask(packed, visit, { p, node, request: { kind: 'prepare', layout, ballot }, isLost: false });
      }
      if (value === null) continue;
      const request: ChainRequest = { kind: 'accept', layout, ballot, value };
      if (phase === 'accepting' && !proposal.accepts.has(voter)) this.#ask(packed, visit, { p, node, request, isLost: false });
      this.#ask(packed, visit, { p, node, request, isLost: true });
    }
  }

  #ask(packed: string, visit: Visit, { p, node, request, isLost }: { readonly p: number; readonly node: number; readonly request: ChainRequest; readonly isLost: boolean }): void {
    this.#act(packed, visit, (draft) => {
      const reply = this.#vote(draft, node, request);
      // A refusal changes nothing but the proposer, who may as well have lost interest.
      if (reply.kind === 'refused' || isLost) return;
      this.#hear(draft, p, node, reply);
    }, () => `${request.kind.toUpperCase()} ${ballotLabel(request.ballot)} of proposal ${p} reaches ${this.#letter(node)}${isLost ? ', the answer is lost' : ''}`);
  }

  #vote(draft: Draft, node: number, request: ChainRequest): ChainReply {
    const self = must(this.#scope.nodes[node], 'a node');
    const { rules } = this.#scope;
    const own = must(draft.nodes[node], 'a node');
    if (!rules.adoptBeforeSlot && request.layout.epoch > (own.layout?.epoch ?? 0)) {
      const step = acceptorStep({ self, layout: request.layout, slot: own.slot }, request);
      this.#adopt(draft, node, request.layout);
      if (step.kind !== 'adopt') return step.reply;
    }
    for (;;) {
      const cell = must(draft.nodes[node], 'a node');
      const step = acceptorStep({ self, layout: cell.layout, slot: cell.slot }, request);
      if (step.kind === 'adopt') {
        this.#adopt(draft, node, step.layout);
        continue;
      }
      if (step.kind === 'vote') {
        draft.nodes[node] = { ...cell, slot: step.slot };
        if (request.kind === 'accept') this.#noteChosen(draft, request);
      }
      if (!rules.acceptedIsNotDecided && step.reply.kind === 'accepted' && request.kind === 'accept') this.#adopt(draft, node, request.value);
      return step.reply;
    }
  }

  #hear(draft: Draft, p: number, node: number, reply: ChainReply): void {
    const heard = reply.kind === 'promised' && !this.#scope.rules.adoptHighest ? { ...reply, accepted: null } : reply;
    const proposal = draft.proposals[p] ?? null;
    if (proposal === null) return;
    const { state, effects } = proposerStep(proposal, must(this.#scope.nodes[node], 'a node'), heard);
    draft.proposals[p] = state;
    const proposer = must(this.#scope.proposals[p], 'a proposal').node;
    for (const effect of effects) {
      if (effect.kind === 'decided') this.#choose(draft, effect.layout);
      if (effect.kind === 'decided' || effect.kind === 'superseded') this.#adopt(draft, proposer, effect.layout);
    }
  }

  /** A newer layout clears the slot, and ends what the node proposed. */
  #adopt(draft: Draft, node: number, layout: Layout): void {
    const cell = must(draft.nodes[node], 'a node');
    if (cell.isGone || !isNewer(layout, cell.layout)) return;
    draft.nodes[node] = { ...cell, layout, slot: EMPTY_SLOT };
    this.#endProposals(draft, node);
    const chosen = draft.verdict.chosen.find(({ epoch }) => epoch === layout.epoch);
    if (chosen === undefined) this.#wrong(draft, `${this.#letter(node)} adopts ${layoutLabel(layout)}, which was never chosen`);
    else if (this.#layoutId(chosen) !== this.#layoutId(layout)) this.#wrong(draft, `I1: ${this.#letter(node)} adopts ${layoutLabel(layout)}, but ${layoutLabel(chosen)} was chosen`);
  }

  #endProposals(draft: Draft, node: number): void {
    draft.proposals.forEach((proposal, p) => {
      if (proposal !== null && this.#scope.proposals[p]?.node === node) draft.proposals[p] = { ...proposal, phase: 'ended' };
    });
  }

  #noteChosen(draft: Draft, { layout, ballot, value }: ChainRequest & { readonly kind: 'accept' }): void {
    const isAccepted = (voter: NodeId): boolean => {
      const cell = must(draft.nodes[this.#scope.nodes.indexOf(voter)], 'a voter');
      return cell.layout?.epoch === layout.epoch && cell.slot.accepted !== null && equalBallots(cell.slot.accepted.ballot, ballot);
    };
    if (isMajority(layout.voters, isAccepted)) this.#choose(draft, value);
  }

  #choose(draft: Draft, layout: Layout): void {
    const { verdict } = draft;
    const before = verdict.chosen.find(({ epoch }) => epoch === layout.epoch);
    if (before === undefined) draft.verdict = { ...verdict, chosen: [...verdict.chosen, layout].sort((a, b) => a.epoch - b.epoch) };
    else if (this.#layoutId(before) !== this.#layoutId(layout)) this.#wrong(draft, `I1: a fork, ${layoutLabel(before)} and ${layoutLabel(layout)} are chosen`);
  }

  #wrong(draft: Draft, what: string): void {
    draft.verdict = { ...draft.verdict, wrong: draft.verdict.wrong ?? what };
  }

  #act(packed: string, visit: Visit, run: (draft: Draft) => void, action: () => string): void {
    const draft = this.#unpack(packed);
    try {
      run(draft);
    } catch (error) {
      if (!(error instanceof AssertionFailure)) throw error;
      this.#wrong(draft, `an assertion fails: ${error.message}`);
    }
    const next = this.#repack(packed, draft);
    if (next !== packed) visit(next, action);
  }

  // -------------------------------------------------------------------------------------------------------- checks

  violation(packed: string): string | null {
    const { nodes, verdict } = this.#unpack(packed);
    if (verdict.wrong !== null) return verdict.wrong;
    let newest: Layout | null = null;
    for (const { layout } of nodes) if (layout !== null && layout.epoch > (newest?.epoch ?? 0)) newest = layout;
    if (newest === null) return null;
    const isLeft = (voter: NodeId): boolean => nodes[this.#scope.nodes.indexOf(voter)]?.isGone === false;
    return isMajority(newest.voters, isLeft) ? null : `stuck: too few voters of ${layoutLabel(newest)} are left`;
  }

  /** Nodes have roles here: no two are alike. */
  canonical(packed: string): string {
    return packed;
  }

  #pack({ nodes, proposals, verdict }: Draft): string {
    return String.fromCharCode(...nodes.map((cell) => this.#nodes.id(cell)), ...proposals.map((state) => this.#proposals.id(state)), this.#verdicts.id(verdict));
  }

  /** Only what the action replaced is looked up by its text. */
  #repack(before: string, { nodes, proposals, verdict }: Draft): string {
    const codes: number[] = [];
    nodes.forEach((cell, i) => {
      const code = before.charCodeAt(i);
      codes.push(this.#nodes.value(code) === cell ? code : this.#nodes.id(cell));
    });
    proposals.forEach((state, p) => {
      const code = before.charCodeAt(nodes.length + p);
      codes.push(this.#proposals.value(code) === state ? code : this.#proposals.id(state));
    });
    const code = before.charCodeAt(before.length - 1);
    codes.push(this.#verdicts.value(code) === verdict ? code : this.#verdicts.id(verdict));
    return String.fromCharCode(...codes);
  }

  #unpack(packed: string): Draft {
    const count = this.#scope.nodes.length;
    const nodes = Array.from({ length: count }, (_, i) => this.#nodes.value(packed.charCodeAt(i)));
    const proposals = this.#scope.proposals.map((_, p) => this.#proposals.value(packed.charCodeAt(count + p)));
    return { nodes, proposals, verdict: this.#verdicts.value(packed.charCodeAt(packed.length - 1)) };
  }

  /** The text of a layout is long: once for each object is enough. */
  #layoutId(layout: Layout): number {
    const known = this.#layoutIds.get(layout);
    if (known !== undefined) return known;
    const id = this.#layouts.id(layout);
    this.#layoutIds.set(layout, id);
    return id;
  }

  #letter(node: number): string {
    return 'ABCDEF'.charAt(node);
  }
}
