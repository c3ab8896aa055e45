/**
 * Bodies as clients send and check them. What a body holds follows from the put's operation id and the place in it, so
 * that bytes of another version, or from another place of the same one, are told apart at any offset.
 */
import type { BodySource } from '../domain/object-operation.ts';
import type { Random } from '../ports/random.ts';
import type { SimClock } from './sim-clock.ts';
import { chance } from './sim-random.ts';

/** Bytes after which a body says again at which place it is. */
const MARK_BYTES = 64;

export function bodyOf(opId: string, size: number): Buffer {
  const body = Buffer.alloc(size, opId);
  for (let at = 0; at + 4 <= size; at += MARK_BYTES) body.writeUInt32LE(at, at);
  return body;
}

/** How an upload goes: only `whole` may ever be stored. */
export type UploadKind = 'whole' | 'breaks off' | 'refused at the end' | 'too short';

export interface UploadDeps {
  readonly clock: SimClock;
  readonly random: Random;
  /** Lets what the client does reach the node's process: later when it stands still, never when it is dead. */
  readonly deliver: (run: () => void) => void;
}

/** One try of an upload: pieces of any length, some clients with pauses between them. */
export class Upload implements BodySource {
  readonly #deps: UploadDeps;
  readonly #body: Buffer;
  readonly #endsAt: number;
  readonly #breaksOff: boolean;
  readonly #pauseMsMax: number;
  readonly #pieceBytesMax: number;
  #sent = 0;

  constructor(deps: UploadDeps, body: Buffer, kind: UploadKind) {
    const { random } = deps;
    this.#deps = deps;
    this.#body = body;
    this.#endsAt = kind === 'breaks off' || kind === 'too short' ? random.below(body.length) : body.length;
    this.#pauseMsMax = chance(random, 0.4) ? 400 : 0;
    this.#pieceBytesMax = 1 + Math.ceil(body.length / (1 + random.below(8)));
    this.#breaksOff = kind === 'breaks off';
  }

  async next(): Promise<Buffer | null> {
    const { clock, random, deliver } = this.#deps;
    await clock.sleep(random.float() * this.#pauseMsMax);
    await new Promise<void>(deliver);
    if (this.#sent === this.#endsAt) {
      if (this.#breaksOff) throw new Error('the client has gone away');
      return null;
    }
    const end = Math.min(this.#endsAt, this.#sent + 1 + random.below(this.#pieceBytesMax));
    const piece = Buffer.from(this.#body.subarray(this.#sent, end));
    this.#sent = end;
    return piece;
  }
}
