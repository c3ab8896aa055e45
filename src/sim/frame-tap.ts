/**
 * Frames as they pass through the network, for what wants to see messages rather than bytes: the chart of a failing run,
 * and the fault that sends requests a second time. It only looks: bytes are copied, and connections know nothing of it.
 *
 * `Recording` keeps, for each dialled connection, its HELLO and the newest requests, within a bound.
 */
import { FRAME_HEADER_BYTES } from '../protocol/frame.ts';

/** Where the header says how long head and body are. */
const HEAD_LENGTH_AT = 28;
const BODY_LENGTH_AT = 32;
const RECORDED_FRAMES_MAX = 32;
const RECORDED_BYTES_MAX = 64 * 1024;

/** Cuts one direction of a connection into whole frames. */
export class FrameCutter {
  #held: Buffer = Buffer.alloc(0);

  /** The frames that these bytes complete, each a copy. */
  push(bytes: Buffer): readonly Buffer[] {
    this.#held = Buffer.concat([this.#held, bytes]);
    const frames: Buffer[] = [];
    for (;;) {
      if (this.#held.length < FRAME_HEADER_BYTES) return frames;
      const length = FRAME_HEADER_BYTES + this.#held.readUInt32BE(HEAD_LENGTH_AT) + this.#held.readUInt32BE(BODY_LENGTH_AT);
      if (this.#held.length < length) return frames;
      frames.push(Buffer.from(this.#held.subarray(0, length)));
      this.#held = this.#held.subarray(length);
    }
  }
}

/** What was last sent on one dialled connection. */
export class Recording {
  readonly from: string;
  readonly to: string;
  #hello: Buffer | null = null;
  readonly #frames: Buffer[] = [];
  #bytes = 0;

  constructor(from: string, to: string) {
    this.from = from;
    this.to = to;
  }

  add(frame: Buffer): void {
    if (this.#hello === null) {
      this.#hello = frame;
      return;
    }
    this.#frames.push(frame);
    this.#bytes += frame.length;
    while (this.#frames.length > RECORDED_FRAMES_MAX || this.#bytes > RECORDED_BYTES_MAX) this.#bytes -= this.#frames.shift()?.length ?? 0;
  }

  /** HELLO and requests; empty: there is nothing to repeat. Frames are copies, as whoever receives them writes into them. */
  frames(): readonly Buffer[] {
    return this.#hello === null || this.#frames.length === 0 ? [] : [this.#hello, ...this.#frames].map((frame) => Buffer.from(frame));
  }
}
