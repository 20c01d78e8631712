// The packages of the benchmarks, without their types: so that what uses them is checked the same whether they are
// installed or not.
declare module '@cacheable/memory'
declare module 'echarts'
declare module 'ioredis'
declare module 'lmdb'
declare module 'lru.min'
declare module 'node-cache'
declare module 'quick-lru'
declare module 'redis'
declare module 'tiny-lru'
