/**
 * Drain (He et al., ICWS 2017) as Loki uses it: lines with the same number of tokens and the same first tokens are
 * compared with the clusters found so far; tokens that differ within a cluster become placeholders.
 *
 *     root ── token count ── first token ── second token … ── leaf: clusters
 *
 * A token with a digit that starts a new branch goes into the branch of placeholders, as does any new token once a node
 * has `MAX_CHILDREN`.
 */
import { EvictionLimiter } from './eviction-limiter.ts';
import { SampleChunks } from './samples.ts';
import { mergePlaceholders, PLACEHOLDER, type SkipReason, type Tokenizer } from './tokenizer.ts';

export interface DrainConfig {
  /** Most clusters; the one that was not seen for longest makes room. */
  readonly maxClusters: number;
  readonly maxEvictionRatio: number;
  readonly sampleIntervalMs: number;
  readonly maxChunkAgeMs: number;
}

export interface Cluster {
  readonly tokens: string[];
  readonly spaces: readonly number[];
  readonly samples: SampleChunks;
  /** False once it was pushed out or has no samples left; its node may still name it. */
  isKept: boolean;
  /** Made on demand, null after a change. */
  text: string | null;
}

interface Node {
  readonly keys: string[];
  readonly children: Node[];
  clusters: Cluster[];
}

/** Levels below the one of token counts that a line is led by. */
const MAX_DEPTH = 27;
const MAX_CHILDREN = 15;
/** Share of equal tokens from which a line belongs to a cluster. */
const MIN_SIMILARITY = 0.3;
/** Memory of a node and of a cluster without its tokens and samples, in bytes; measured on the heap, rounded up. */
const NODE_BYTES = 250;
const CLUSTER_BYTES = 400;
const TOKEN_BYTES = 32;

export class Drain {
  readonly #config: DrainConfig;
  readonly #tokenizer: Tokenizer;
  readonly #limiter: EvictionLimiter;
  readonly #roots = new Map<number, Node>();
  /** In the order of their last line. */
  readonly #clusters = new Set<Cluster>();
  #sizeBytes = 0;
  /** Clusters pushed out since the start. */
  evictions = 0;

  constructor(config: DrainConfig, tokenizer: Tokenizer) {
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#limiter = new EvictionLimiter(config.maxEvictionRatio);
  }

  get clusters(): Iterable<Cluster> {
    return this.#clusters;
  }

  get clusterCount(): number {
    return this.#clusters.size;
  }

  /** What all of it takes in memory, about. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * Counts a line. `weight`: how many lines it stands for. The bytes are not kept. Answers why a line was passed over,
   * null when it was not.
   */
  train(
    lines: Buffer,
    start: number,
    end: number,
    timeMs: number,
    weight: number,
    nowMs: number,
  ): SkipReason | 'throttled' | null {
    if (!this.#limiter.allow(nowMs)) return 'throttled';
    const line = this.#tokenizer.tokenize(lines, start, end);
    if (typeof line === 'string') return line;
    let cluster = this.#search(line.tokens);
    if (cluster === null) {
      cluster = this.#add(line.tokens, line.spaces);
    } else {
      generalize(cluster, line.tokens);
      this.#clusters.delete(cluster);
      this.#clusters.add(cluster);
    }
    const { samples } = cluster;
    const before = samples.sizeBytes;
    samples.add(timeMs, weight, this.#config.sampleIntervalMs, this.#config.maxChunkAgeMs);
    this.#sizeBytes += samples.sizeBytes - before;
    return null;
  }

  textOf(cluster: Cluster): string {
    cluster.text ??= mergePlaceholders(this.#tokenizer.join(cluster.tokens, cluster.spaces));
    return cluster.text;
  }

  /** Drops samples older than `oldestMs`, clusters without samples, and branches without clusters. */
  prune(oldestMs: number): void {
    for (const cluster of this.#clusters) {
      const before = cluster.samples.sizeBytes;
      cluster.samples.prune(oldestMs);
      this.#sizeBytes -= before - cluster.samples.sizeBytes;
      if (cluster.samples.isEmpty) this.#remove(cluster);
    }
    for (const [count, node] of this.#roots) if (this.#pruneNode(node)) this.#roots.delete(count);
  }

  #search(tokens: readonly string[]): Cluster | null {
    let node = this.#roots.get(tokens.length);
    const depth = Math.min(MAX_DEPTH, tokens.length - 1);
    for (let i = 0; i < depth && node !== undefined; i++) {
      node = childOf(node, tokens[i]!) ?? childOf(node, PLACEHOLDER);
    }
    if (node === undefined) return null;
    let best: Cluster | null = null;
    let bestEqual = -1;
    let bestPlaceholders = -1;
    for (const cluster of node.clusters) {
      if (!cluster.isKept) continue;
      let equal = 0;
      let placeholders = 0;
      for (let i = 0; i < tokens.length; i++) {
        const token = cluster.tokens[i]!;
        if (token === PLACEHOLDER) placeholders++;
        else if (token === tokens[i]) equal++;
      }
      if (equal > bestEqual || (equal === bestEqual && placeholders > bestPlaceholders)) {
        best = cluster;
        bestEqual = equal;
        bestPlaceholders = placeholders;
      }
    }
    return bestEqual / tokens.length >= MIN_SIMILARITY ? best : null;
  }

  #add(tokens: readonly string[], spaces: readonly number[]): Cluster {
    // Tokens are slices of the line, which must not live as long as they do.
    const own = tokens.map(detached);
    const cluster: Cluster = {
      tokens: own,
      spaces: [...spaces],
      samples: new SampleChunks(),
      isKept: true,
      text: null,
    };
    this.#clusters.add(cluster);
    this.#sizeBytes += clusterBytes(cluster);
    if (this.#clusters.size > this.#config.maxClusters) {
      const [oldest] = this.#clusters;
      this.#remove(oldest!);
      this.#limiter.evicted();
      this.evictions++;
    }
    let node = this.#roots.get(own.length);
    if (node === undefined) {
      node = this.#newNode();
      this.#roots.set(own.length, node);
    }
    const depth = Math.min(MAX_DEPTH, own.length - 1);
    for (let i = 0; i < depth; i++) node = this.#branch(node, own[i]!);
    node.clusters = [...node.clusters.filter((other) => other.isKept), cluster];
    return cluster;
  }

  /** The child that a new cluster goes into. */
  #branch(node: Node, token: string): Node {
    const child = childOf(node, token);
    if (child !== undefined) return child;
    const open = childOf(node, PLACEHOLDER);
    const count = node.keys.length;
    const hasRoom = open === undefined ? count + 1 < MAX_CHILDREN : count < MAX_CHILDREN;
    if (hasRoom && !/\p{N}/u.test(token)) return this.#newChild(node, token);
    return open ?? this.#newChild(node, PLACEHOLDER);
  }

  #newChild(node: Node, key: string): Node {
    const child = this.#newNode();
    node.keys.push(key);
    node.children.push(child);
    return child;
  }

  #newNode(): Node {
    this.#sizeBytes += NODE_BYTES;
    return { keys: [], children: [], clusters: [] };
  }

  #remove(cluster: Cluster): void {
    this.#clusters.delete(cluster);
    cluster.isKept = false;
    this.#sizeBytes -= clusterBytes(cluster);
  }

  /** True when nothing is left below the node. */
  #pruneNode(node: Node): boolean {
    for (let i = node.children.length - 1; i >= 0; i--) {
      if (!this.#pruneNode(node.children[i]!)) continue;
      node.keys.splice(i, 1);
      node.children.splice(i, 1);
    }
    node.clusters = node.clusters.filter((cluster) => cluster.isKept);
    const isEmpty = node.children.length === 0 && node.clusters.length === 0;
    if (isEmpty) this.#sizeBytes -= NODE_BYTES;
    return isEmpty;
  }
}

function childOf(node: Node, key: string): Node | undefined {
  const index = node.keys.indexOf(key); // at most `MAX_CHILDREN`, mostly one
  return index < 0 ? undefined : node.children[index];
}

function generalize(cluster: Cluster, tokens: readonly string[]): void {
  for (let i = 0; i < tokens.length; i++) {
    if (cluster.tokens[i] === tokens[i] || cluster.tokens[i] === PLACEHOLDER) continue;
    cluster.tokens[i] = PLACEHOLDER;
    cluster.text = null;
  }
}

/** Without the tokens' text: it changes, and words are short. */
function clusterBytes({ tokens, samples }: Cluster): number {
  return CLUSTER_BYTES + TOKEN_BYTES * tokens.length + samples.sizeBytes;
}

function detached(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}
