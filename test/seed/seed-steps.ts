/**
 * The assignment's own cases, as steps that build on one another: initialisation; join of one, two and five nodes; put;
 * get of a stored and of an absent file; files move when nodes join; a leave; the failure of an owner.
 */
import type { SeedRing, ShownNode } from './seed-ring.ts';
import { backUpProblem, keyOf, KEY_BITS, ownerOf, ownershipProblem, pointerProblem, textOf } from './seed-ring.ts';

/** Milliseconds after which a join or a leave is seen by all, and a failure. */
const CHANGE_MS = 2000;
const FAILURE_MS = 3000;

export const STEP_TITLES = [
  'a first node is alone: its own successor and predecessor, without files',
  'one node joins: both point at each other within 2 s',
  'two more nodes join through different nodes: all neighbours are right within 2 s of each join',
  'five more nodes join through different nodes: all neighbours are right within 2 s of each join',
  'eight files put through different nodes are on exactly the owners that hasher names',
  'every stored file is got through every node',
  'a file that was never stored is got as nothing',
  'three more nodes join: each file moves to its new owner and is gone from the old one',
  'a node leaves: its files are with the right node within 2 s',
  'an owner is killed: within 3 s every pointer is right and its files are with the right survivor',
  'after all this every file is got through every node',
] as const;

export class SeedStory {
  readonly #ring: SeedRing;
  /** Eight files, among them some that move, one of the leaver and one of the victim. */
  readonly files: readonly string[];
  readonly #leaver: string;
  readonly #victim: string;
  /** Names of the nodes in the ring now. */
  #members: string[] = [];

  constructor(ring: SeedRing) {
    this.#ring = ring;
    const before = ring.names.slice(0, 9);
    const after = ring.names.slice(0, 12);
    const candidates = Array.from({ length: 2000 }, (_, i) => `file-${i}.txt`);
    const moving = candidates.filter((file) => ownerOf(file, before) !== ownerOf(file, after)).slice(0, 3);
    this.#leaver = after[4] ?? '';
    const left = after.filter((name) => name !== this.#leaver);
    this.#victim = left[6] ?? '';
    const leaversFile = candidates.filter((file) => !moving.includes(file) && ownerOf(file, after) === this.#leaver).slice(0, 1);
    const victimsFiles = candidates.filter((file) => !moving.includes(file) && ownerOf(file, left) === this.#victim && !leaversFile.includes(file)).slice(0, 1);
    const chosen = [...moving, ...leaversFile, ...victimsFiles];
    this.files = [...chosen, ...candidates.filter((file) => !chosen.includes(file)).slice(0, 8 - chosen.length)];
  }

  readonly steps: readonly { readonly title: string; readonly run: () => Promise<void> }[] = [
    { title: STEP_TITLES[0], run: () => this.#init() },
    { title: STEP_TITLES[1], run: () => this.#join(1) },
    { title: STEP_TITLES[2], run: () => this.#join(2) },
    { title: STEP_TITLES[3], run: () => this.#join(5) },
    { title: STEP_TITLES[4], run: () => this.#put() },
    { title: STEP_TITLES[5], run: () => this.#getAll() },
    { title: STEP_TITLES[6], run: () => this.#getAbsent() },
    { title: STEP_TITLES[7], run: () => this.#joinAndMove() },
    { title: STEP_TITLES[8], run: () => this.#leave() },
    { title: STEP_TITLES[9], run: () => this.#kill() },
    { title: STEP_TITLES[10], run: () => this.#getAll() },
  ];

  async #init(): Promise<void> {
    const name = this.#ring.names[0] ?? '';
    await this.#ring.start(name, null);
    this.#members = [name];
    await this.#ring.within(CHANGE_MS, async () => pointerProblem(await this.#showAll(), this.#members));
    const shown = await this.#ring.show(name);
    equal('name', textOf(shown), name);
    equal('key', shown.key, keyOf(name));
    equal('M and N', [shown.M, shown.N], [KEY_BITS, 2 ** KEY_BITS]);
    equal('successors', shown.successors.map(textOf), [name]);
    equal('files', [shown.files, shown.backUpFiles], [[], []]);
  }

  async #join(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#joinOne();
  }

  async #joinOne(): Promise<void> {
    const name = this.#ring.names[this.#members.length] ?? '';
    const through = this.#members[this.#members.length >> 1] ?? this.#members[0] ?? '';
    await this.#ring.start(name, through);
    this.#members = [...this.#members, name];
    await this.#ring.within(CHANGE_MS, async () => pointerProblem(await this.#showAll(), this.#members));
  }

  async #put(): Promise<void> {
    for (const [index, file] of this.files.entries()) {
      await this.#ring.put(this.#members[index % this.#members.length] ?? '', file, bodyOf(file));
    }
    await this.#ring.within(CHANGE_MS, async () => {
      const shown = await this.#showAll();
      return ownershipProblem(shown, this.#members, this.files) ?? backUpProblem(shown, this.#members, this.files);
    });
  }

  async #getAll(): Promise<void> {
    for (const through of this.#members) {
      for (const file of this.files) {
        const body = await this.#ring.get(through, file);
        if (body === null || !body.equals(bodyOf(file))) throw new Error(`${through} gives ${body === null ? 'nothing' : 'other bytes'} for ${file}`);
      }
    }
  }

  async #getAbsent(): Promise<void> {
    for (const through of this.#members) equal('absent file', await this.#ring.get(through, 'never-stored.txt'), null);
  }

  async #joinAndMove(): Promise<void> {
    const before = [...this.#members];
    for (let i = 0; i < 3; i++) await this.#joinOne();
    const moved = this.files.filter((file) => ownerOf(file, before) !== ownerOf(file, this.#members));
    if (moved.length < 3) throw new Error(`only ${moved.length} files would move`);
    await this.#ring.within(CHANGE_MS, async () => ownershipProblem(await this.#showAll(), this.#members, this.files));
    await this.#ring.within(10_000, async () => backUpProblem(await this.#showAll(), this.#members, this.files));
  }

  async #leave(): Promise<void> {
    await this.#ring.leave(this.#leaver);
    this.#members = this.#members.filter((name) => name !== this.#leaver);
    await this.#ring.within(CHANGE_MS, () => this.#problem());
    await this.#ring.within(10_000, async () => (this.#ring.hasEnded(this.#leaver) ? null : 'the leaver has not ended'));
  }

  async #kill(): Promise<void> {
    await this.#ring.kill(this.#victim);
    this.#members = this.#members.filter((name) => name !== this.#victim);
    await this.#ring.within(FAILURE_MS, () => this.#problem());
  }

  async #problem(): Promise<string | null> {
    const shown = await this.#showAll();
    return pointerProblem(shown, this.#members) ?? ownershipProblem(shown, this.#members, this.files);
  }

  #showAll(): Promise<ShownNode[]> {
    return Promise.all(this.#members.map((name) => this.#ring.show(name)));
  }
}

function bodyOf(file: string): Buffer {
  return Buffer.from(`the content of ${file}\n`.repeat(1 + (file.length % 5)));
}

function equal(what: string, actual: unknown, expected: unknown): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`);
}
