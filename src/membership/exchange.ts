/**
 * Exchange: pairs requests that this node sends with what comes of them. A part asks with a continuation; the tag in
 * the effect finds it again. Writes wait for `persisted` in the same way.
 *
 * Invariant: each continuation runs at most once; the shell bounds each request's time, so none waits for ever.
 */
import { must } from '../domain/assert.ts';
import type { NodeId } from '../domain/ids.ts';
import type { MonotonicMs } from '../domain/instant.ts';
import type { PeerTarget } from '../domain/peer-identity.ts';
import { isReplyTo } from '../protocol/codec.ts';
import type { PeerReply, ReplyByRequest } from '../protocol/message.ts';
import type { MembershipEffect } from './membership-effect.ts';
import type { CallFailureKind, MembershipKind, MembershipRequest } from './membership-event.ts';

export type Answer<K extends MembershipKind> =
  | { readonly kind: 'reply'; readonly from: NodeId; readonly reply: ReplyByRequest[K] }
  | NoAnswer;

export interface NoAnswer {
  readonly kind: 'none';
  /** fault: it answered that it can't. */
  readonly failure: CallFailureKind | 'fault';
  readonly detail: string;
}

type RawAnswer = { readonly kind: 'reply'; readonly from: NodeId; readonly reply: PeerReply } | NoAnswer;
type Settle = (answer: RawAnswer, now: MonotonicMs) => void;

interface Write {
  readonly done: (now: MonotonicMs) => void;
  readonly refused: (now: MonotonicMs) => void;
}

export class Exchange {
  #nextTag = 1;
  /** Tag of the newest write that is not durable yet. */
  #lastWrite = 0;
  readonly #asked = new Map<number, Settle>();
  readonly #written = new Map<number, Write>();
  #effects: MembershipEffect[] = [];

  emit(effect: MembershipEffect): void {
    this.#effects.push(effect);
  }

  /** What has been emitted since the last call. */
  takeEffects(): readonly MembershipEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  ask<K extends MembershipKind>(
    target: PeerTarget,
    request: Extract<MembershipRequest, { readonly kind: K }>,
    timeoutMs: number,
    then: (answer: Answer<K>, now: MonotonicMs) => void,
  ): void {
    const tag = this.#nextTag++;
    const wanted: MembershipRequest = request;
    this.#asked.set(tag, (answer, now) => {
      if (answer.kind === 'none') {
        then(answer, now);
        return;
      }
      const isExpected: boolean = answer.reply.kind !== 'fault' && isReplyTo(wanted.kind, answer.reply);
      if (isExpected) {
        then({ kind: 'reply', from: answer.from, reply: answer.reply as ReplyByRequest[K] }, now);
      } else {
        then({ kind: 'none', failure: 'fault', detail: answer.reply.kind === 'fault' ? answer.reply.detail : `answered with ${answer.reply.kind}` }, now);
      }
    });
    this.emit({ kind: 'send', tag, target, request: wanted, timeoutMs });
  }

  /** The effect to emit for a write; `done` runs when it is durable. */
  write(effect: (tag: number) => MembershipEffect, done: (now: MonotonicMs) => void, refused: (now: MonotonicMs) => void = () => undefined): void {
    const tag = this.#nextTag++;
    this.#written.set(tag, { done, refused });
    this.#lastWrite = tag;
    this.emit(effect(tag));
  }

  /** Runs when all writes so far are durable; they become so in order. Now, when none is under way. */
  afterWrites(then: (now: MonotonicMs) => void, now: MonotonicMs): void {
    const write = this.#written.get(this.#lastWrite);
    if (write === undefined) {
      then(now);
      return;
    }
    this.#written.set(this.#lastWrite, {
      done: (at) => { write.done(at); then(at); },
      refused: (at) => { write.refused(at); then(at); },
    });
  }

  replied(tag: number, from: NodeId, reply: PeerReply, now: MonotonicMs): void {
    this.#settle(tag, { kind: 'reply', from, reply }, now);
  }

  failed(tag: number, failure: CallFailureKind, detail: string, now: MonotonicMs): void {
    this.#settle(tag, { kind: 'none', failure, detail }, now);
  }

  persisted(tag: number, now: MonotonicMs): void {
    this.#takeWrite(tag).done(now);
  }

  refused(tag: number, now: MonotonicMs): void {
    this.#takeWrite(tag).refused(now);
  }

  #settle(tag: number, answer: RawAnswer, now: MonotonicMs): void {
    const settle = must(this.#asked.get(tag), `the request with tag ${tag}`);
    this.#asked.delete(tag);
    settle(answer, now);
  }

  #takeWrite(tag: number): Write {
    const write = must(this.#written.get(tag), `the write with tag ${tag}`);
    this.#written.delete(tag);
    return write;
  }
}
