import { WeightsError } from "../errors.ts";
import { decodeUtf8 } from "./byte_source.ts";

/** A name that a pickle refers to, such as `torch.FloatStorage`: only its name, never the thing itself. */
export interface PickleGlobal {
  readonly kind: "global";
  /** Module and name, joined by a dot. */
  readonly path: string;
}

/** An object of a class that does not matter here; its contents were dropped. */
export interface PickleRecord {
  readonly kind: "record";
  readonly path: string;
}

/** An object of a class whose attributes matter here: of the class itself only the name is known. */
export interface PickleObject {
  readonly kind: "object";
  readonly path: string;
  readonly attributes: Map<unknown, unknown>;
}

/** What a pickle may do besides building plain data. Both functions decide by name and run nothing of the file's choosing. */
export interface PickleWorld {
  /** Result of calling a global; a WeightsError where its name is not on the list. */
  call(global: PickleGlobal, args: unknown): unknown;
  /** Value of a persistent id (torch: a storage). */
  persistent(id: unknown): unknown;
}

/** The bytes ended within the pickle: there may be more of it in the file. */
export class PickleEndError extends Error {}

/** Containers, memo slots and the like that one pickle may fill; a checkpoint of a thousand tensors needs twenty thousand. */
const MAX_OBJECTS = 2_000_000;
/** Longest integer: torch's magic number has ten bytes. */
const MAX_LONG_BYTES = 64;

/** The state of the pickle machine. */
interface Machine {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly world: PickleWorld;
  at: number;
  /** Values since the last MARK; those below each mark wait in `marked`. */
  stack: unknown[];
  readonly marked: unknown[][];
  readonly memo: Map<number, unknown>;
  /** Objects built so far. */
  objects: number;
}

/**
 * Reads one pickle (protocols 1 to 5) as data: dicts become Maps, lists and tuples arrays, integers numbers (bigints beyond 2^53).
 * Nothing is imported or run: a global is a name, and the only calls are those that `world` knows.
 * @param start where the pickle begins in `bytes`
 * @returns the value and the position behind the pickle
 * @see https://github.com/python/cpython/blob/main/Lib/pickletools.py (the opcodes)
 * @throws PickleEndError where the bytes end too early, WeightsError where the pickle is malformed or calls what it may not
 */
export function readPickle(name: string, bytes: Uint8Array, start: number, world: PickleWorld): { value: unknown; end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const machine: Machine = { name, bytes, view, world, at: start, stack: [], marked: [], memo: new Map(), objects: 0 };
  for (;;) {
    const opcode = machine.bytes[take(machine, 1)];
    if (opcode === STOP) return { value: pop(machine), end: machine.at };
    const operation = operations.get(opcode);
    if (operation === undefined) fail(machine, `opcode 0x${opcode.toString(16)} at byte ${machine.at - 1} is not one that torch.save writes`);
    operation(machine);
  }
}

/** Whether a value is a reference to a global. */
export function isGlobal(value: unknown): value is PickleGlobal {
  return (value as PickleGlobal | null)?.kind === "global";
}

const STOP = 0x2e;

const operations = new Map<number, (machine: Machine) => void>([
  // Protocol and framing carry no data.
  [0x80, (m) => void take(m, 1)], // PROTO
  [0x95, (m) => void take(m, 8)], // FRAME
  // Constants.
  [0x4e, (m) => push(m, null)], // NONE
  [0x88, (m) => push(m, true)], // NEWTRUE
  [0x89, (m) => push(m, false)], // NEWFALSE
  [0x4a, (m) => push(m, m.view.getInt32(take(m, 4), true))], // BININT
  [0x4b, (m) => push(m, uint8(m))], // BININT1
  [0x4d, (m) => push(m, m.view.getUint16(take(m, 2), true))], // BININT2
  [0x8a, (m) => push(m, long(m, uint8(m)))], // LONG1
  [0x8b, (m) => push(m, long(m, uint32(m)))], // LONG4
  [0x47, (m) => push(m, m.view.getFloat64(take(m, 8), false))], // BINFLOAT
  // Strings and bytes. Python 2's byte strings (BINSTRING) are read as text, as torch.load does.
  [0x58, (m) => push(m, text(m, uint32(m)))], // BINUNICODE
  [0x8c, (m) => push(m, text(m, uint8(m)))], // SHORT_BINUNICODE
  [0x8d, (m) => push(m, text(m, uint64(m)))], // BINUNICODE8
  [0x55, (m) => push(m, text(m, uint8(m)))], // SHORT_BINSTRING
  [0x54, (m) => push(m, text(m, uint32(m)))], // BINSTRING
  [0x42, (m) => push(m, count(m) && raw(m, uint32(m)))], // BINBYTES
  [0x43, (m) => push(m, count(m) && raw(m, uint8(m)))], // SHORT_BINBYTES
  [0x8e, (m) => push(m, count(m) && raw(m, uint64(m)))], // BINBYTES8
  // Containers.
  [0x28, (m) => { m.marked.push(m.stack); m.stack = []; count(m); }], // MARK
  [0x30, (m) => void pop(m)], // POP
  [0x31, (m) => void popMark(m)], // POP_MARK
  [0x32, (m) => { const top = pop(m); push(m, top); push(m, top); }], // DUP
  [0x7d, (m) => push(m, count(m) && new Map())], // EMPTY_DICT
  [0x5d, (m) => push(m, count(m) && [])], // EMPTY_LIST
  [0x29, (m) => push(m, count(m) && [])], // EMPTY_TUPLE
  [0x8f, (m) => push(m, count(m) && [])], // EMPTY_SET
  [0x74, (m) => push(m, count(m) && popMark(m))], // TUPLE
  [0x85, (m) => push(m, count(m) && popMany(m, 1))], // TUPLE1
  [0x86, (m) => push(m, count(m) && popMany(m, 2))], // TUPLE2
  [0x87, (m) => push(m, count(m) && popMany(m, 3))], // TUPLE3
  [0x91, (m) => push(m, count(m) && popMark(m))], // FROZENSET
  [0x61, (m) => append(m, popMany(m, 1))], // APPEND
  [0x65, (m) => append(m, popMark(m))], // APPENDS
  [0x90, (m) => append(m, popMark(m))], // ADDITEMS
  [0x73, (m) => setItems(m, popMany(m, 2))], // SETITEM
  [0x75, (m) => setItems(m, popMark(m))], // SETITEMS
  // Memo.
  [0x71, (m) => memoize(m, uint8(m))], // BINPUT
  [0x72, (m) => memoize(m, uint32(m))], // LONG_BINPUT
  [0x94, (m) => memoize(m, m.memo.size)], // MEMOIZE
  [0x68, (m) => recall(m, uint8(m))], // BINGET
  [0x6a, (m) => recall(m, uint32(m))], // LONG_BINGET
  // Names and calls.
  [0x63, (m) => pushGlobal(m, line(m), line(m))], // GLOBAL
  [0x93, (m) => { const [module, name] = popMany(m, 2); pushGlobal(m, module, name); }], // STACK_GLOBAL
  [0x51, (m) => push(m, m.world.persistent(pop(m)))], // BINPERSID
  [0x52, (m) => { const [callable, args] = popMany(m, 2); call(m, callable, args); }], // REDUCE
  [0x81, (m) => { const [type, args] = popMany(m, 2); call(m, type, args); }], // NEWOBJ
  [0x92, (m) => { const [type, args] = popMany(m, 3); call(m, type, args); }], // NEWOBJ_EX
  [0x6f, (m) => { const [type, ...args] = popMark(m); call(m, type, args); }], // OBJ
  [0x69, (m) => { pushGlobal(m, line(m), line(m)); const type = pop(m); call(m, type, popMark(m)); }], // INST
  [0x62, build], // BUILD
]);

function call(machine: Machine, callable: unknown, args: unknown): void {
  if (!isGlobal(callable)) fail(machine, "something is called that is not a name");
  count(machine);
  push(machine, machine.world.call(callable, args));
}

/** Sets the state of an object: attributes of a dict (its `_metadata`) and the state of records do not matter here. */
function build(machine: Machine): void {
  const state = pop(machine);
  const target = pop(machine);
  if (isGlobal(target)) fail(machine, `the state of ${target.path} itself is set; no state dict does that, do not trust this file`);
  if (isObject(target) && state instanceof Map) for (const [name, value] of state) target.attributes.set(name, value);
  push(machine, target);
}

/** Whether a value is an object with attributes. */
export function isObject(value: unknown): value is PickleObject {
  return (value as PickleObject | null)?.kind === "object";
}

function append(machine: Machine, values: unknown[]): void {
  const target = pop(machine);
  if (Array.isArray(target)) for (const value of values) target.push(value);
  else if (!isRecord(target)) fail(machine, "values are appended to what is no list");
  push(machine, target);
}

function setItems(machine: Machine, pairs: unknown[]): void {
  const target = pop(machine);
  if (pairs.length % 2 !== 0) fail(machine, "a dict has a key without a value");
  if (target instanceof Map) for (let i = 0; i < pairs.length; i += 2) target.set(pairs[i], pairs[i + 1]);
  else if (!isRecord(target)) fail(machine, "items are set in what is no dict");
  push(machine, target);
}

function isRecord(value: unknown): value is PickleRecord {
  return (value as PickleRecord | null)?.kind === "record";
}

function pushGlobal(machine: Machine, module: unknown, name: unknown): void {
  if (typeof module !== "string" || typeof name !== "string") fail(machine, "a global has no name");
  const global: PickleGlobal = { kind: "global", path: `${module}.${name}` };
  count(machine);
  push(machine, global);
}

function memoize(machine: Machine, key: number): void {
  const top = pop(machine);
  push(machine, top);
  count(machine);
  machine.memo.set(key, top);
}

function recall(machine: Machine, key: number): void {
  if (!machine.memo.has(key)) fail(machine, `memo ${key} is read before it is written`);
  push(machine, machine.memo.get(key));
}

function push(machine: Machine, value: unknown): void {
  machine.stack.push(value);
}

function pop(machine: Machine): unknown {
  if (machine.stack.length === 0) fail(machine, `nothing is on the stack at byte ${machine.at}`);
  return machine.stack.pop();
}

function popMany(machine: Machine, number: number): unknown[] {
  if (machine.stack.length < number) fail(machine, `nothing is on the stack at byte ${machine.at}`);
  return machine.stack.splice(-number);
}

function popMark(machine: Machine): unknown[] {
  const values = machine.stack;
  machine.stack = machine.marked.pop() ?? fail(machine, `a mark is missing at byte ${machine.at}`);
  return values;
}

/** Counts an object against the bound on memory. */
function count(machine: Machine): true {
  if (++machine.objects > MAX_OBJECTS) fail(machine, `it builds more than ${MAX_OBJECTS} objects, which no state dict does`);
  return true;
}

/** Moves on by `length` bytes. @returns where they begin */
function take(machine: Machine, length: number): number {
  const begin = machine.at;
  if (begin + length > machine.bytes.byteLength) throw new PickleEndError();
  machine.at += length;
  return begin;
}

function uint8(machine: Machine): number {
  return machine.bytes[take(machine, 1)];
}

function uint32(machine: Machine): number {
  return machine.view.getUint32(take(machine, 4), true);
}

function uint64(machine: Machine): number {
  return Number(machine.view.getBigUint64(take(machine, 8), true));
}

function raw(machine: Machine, length: number): Uint8Array {
  const begin = take(machine, length);
  return machine.bytes.subarray(begin, begin + length);
}

function text(machine: Machine, length: number): string {
  return decodeUtf8(machine.name, raw(machine, length));
}

function line(machine: Machine): string {
  const end = machine.bytes.indexOf(0x0a, machine.at);
  if (end < 0) throw new PickleEndError();
  const content = text(machine, end - machine.at);
  take(machine, 1);
  return content;
}

/** A little-endian two's complement integer. */
function long(machine: Machine, length: number): number | bigint {
  if (length > MAX_LONG_BYTES) fail(machine, `an integer claims ${length} bytes`);
  let value = 0n;
  raw(machine, length).forEach((byte, index) => { value |= BigInt(byte) << BigInt(8 * index); });
  const signed = BigInt.asIntN(8 * length, value);
  const small = signed >= Number.MIN_SAFE_INTEGER && signed <= Number.MAX_SAFE_INTEGER;
  return small ? Number(signed) : signed;
}

function fail(machine: Machine, fact: string): never {
  throw new WeightsError(machine.name, `the pickle is malformed: ${fact}`);
}
