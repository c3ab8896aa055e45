/** The LocalFiles door on Node. */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import type { LocalFiles } from '../ports/local-files.ts';

export class NodeLocalFiles implements LocalFiles {
  async read(file: string, bytesMax: number): Promise<Buffer> {
    const handle = await fs.open(file, 'r');
    try {
      const stat = await handle.stat();
      if (stat.isDirectory()) throw new Error(`${file} is a directory`);
      if (stat.size > bytesMax) throw new Error(`${file} has ${stat.size} bytes, at most ${bytesMax} are taken`);
      const bytes = await handle.readFile();
      if (bytes.length > bytesMax) throw new Error(`${file} has more than ${bytesMax} bytes`);
      return bytes;
    } finally {
      await handle.close();
    }
  }

  async save(file: string, bytes: Uint8Array): Promise<void> {
    const part = path.join(path.dirname(file), `.${path.basename(file).slice(0, 100)}.${randomBytes(6).toString('hex')}.part`);
    try {
      await fs.writeFile(part, bytes, { flag: 'wx' });
      await fs.rename(part, file);
    } catch (error) {
      await fs.rm(part, { force: true });
      throw error;
    }
  }

  async saveBelow(segments: readonly string[], bytes: Uint8Array): Promise<string> {
    for (const segment of segments) {
      if (segment === '' || segment === '.' || segment === '..' || path.basename(segment) !== segment) throw new Error(`"${segment}" can't be a file name here; use -o FILE`);
    }
    const root = await fs.realpath('.');
    const inside = root.endsWith(path.sep) ? root : root + path.sep;
    let directory = root;
    for (const segment of segments.slice(0, -1)) {
      const next = path.join(directory, segment);
      await fs.mkdir(next).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      directory = await fs.realpath(next);
      if (!directory.startsWith(inside)) throw new Error(`${next} is a link out of the current directory; use -o FILE`);
    }
    const file = path.join(directory, segments.at(-1) ?? '');
    await this.save(file, bytes);
    return path.relative(root, file);
  }

  async makeDirectory(directory: string): Promise<void> {
    await fs.mkdir(directory, { recursive: true });
  }

  async createSecret(file: string, text: string): Promise<void> {
    await fs.writeFile(file, text, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
