/** Prints the ms from the import of the package to the first hit. */

const start = performance.now()
const { Cache } = await import('sark-cache')
const cache = new Cache()
cache.set('k', { a: 1 })
const value = cache.get('k')
const end = performance.now()
if (value?.a !== 1) throw new Error('no hit')
console.log(end - start)
