// The module and the calls of its kernels: checks what comes in, makes what goes out, does no arithmetic on values.
#define TENSORGRAPH_BINDING
#include "binding.h"

#include <cstring>
#include <limits>
#include <new>

#include "buffers.h"
#include "dispatch.h"
#include "pool.h"
#include "signatures.h"

namespace tensorgraph {
namespace {

// --- arrays behind which the memory is used again -----------------------------------------------------------------------

constexpr npy_intp CACHED_BYTES = 16384;  // below, NumPy's own allocation is as fast
bool poisoned = false;                    // fill outputs with NaN first: tests see what a kernel forgot to write

void* handler_malloc(void*, size_t bytes) { return take_block(bytes); }
void handler_free(void*, void* block, size_t bytes) { give_block(block, bytes); }
void* handler_calloc(void*, size_t count, size_t size) {
    if (size != 0 && count > std::numeric_limits<size_t>::max() / size) return nullptr;
    void* block = take_block(count * size);
    return block == nullptr ? nullptr : std::memset(block, 0, count * size);
}
void* handler_realloc(void*, void* block, size_t bytes) {  // NumPy calls it in ndarray.resize only, with no old size
    (void)block, (void)bytes;
    return nullptr;
}

PyDataMem_Handler memory = {
    "tensorgraph", 1, {nullptr, handler_malloc, handler_calloc, handler_realloc, handler_free}};
PyObject* memory_capsule = nullptr;

PyObject* new_array(int rank, const npy_intp* sizes, int type) {
    npy_intp bytes = type == NPY_FLOAT32 ? 4 : 1;
    for (int i = 0; i < rank; ++i) {
        if (sizes[i] < 0 || (sizes[i] > 0 && bytes > std::numeric_limits<npy_intp>::max() / 8 / sizes[i])) {
            return PyErr_Format(PyExc_ValueError, "the result would be too large");
        }
        bytes *= sizes[i];
    }
    PyObject* before = bytes >= CACHED_BYTES ? PyDataMem_SetHandler(memory_capsule) : nullptr;
    if (bytes >= CACHED_BYTES && before == nullptr) return nullptr;
    PyObject* array = PyArray_SimpleNew(rank, const_cast<npy_intp*>(sizes), type);
    if (before != nullptr) {
        PyObject* ours = PyDataMem_SetHandler(before);
        Py_DECREF(before);
        Py_XDECREF(ours);
    }
    if (array != nullptr && poisoned) std::memset(PyArray_DATA(reinterpret_cast<PyArrayObject*>(array)), 0xff, bytes);
    return array;
}

// --- one call -----------------------------------------------------------------------------------------------------------

int type_of(const ArrayArgument& a) { return a.kind == 'f' ? NPY_FLOAT32 : a.kind == 'b' ? NPY_UINT8 : NPY_INT64; }

struct Kept {  // references of one call, dropped at its end
    PyObject* objects[MAX_ARRAYS + MAX_OUTPUTS] = {};
    ~Kept() {
        for (PyObject* object : objects) Py_XDECREF(object);
    }
};

PyObject* fail(PyObject* kind, const Signature& s, const char* argument, const char* text) {
    return PyErr_Format(kind, "%s: %s %s", s.name, argument, text);
}

// Sizes agree with the letters seen so far.
bool read_sizes(const Signature& s, const ArrayArgument& wanted, PyArrayObject* a, Call& c) {
    const int rank = static_cast<int>(std::strlen(wanted.sizes));
    if (PyArray_NDIM(a) != rank) {
        PyErr_Format(PyExc_ValueError, "%s: %s must have %d axes, got %d", s.name, wanted.name, rank, PyArray_NDIM(a));
        return false;
    }
    for (int i = 0; i < rank; ++i) {
        int64_t& size = c.letters[static_cast<unsigned char>(wanted.sizes[i])];
        if (size == UNKNOWN) size = PyArray_DIM(a, i);
        if (size != PyArray_DIM(a, i)) {
            PyErr_Format(PyExc_ValueError, "%s: axis %d of %s must have size %c = %lld, got %lld", s.name, i,
                         wanted.name, wanted.sizes[i], static_cast<long long>(size),
                         static_cast<long long>(PyArray_DIM(a, i)));
            return false;
        }
    }
    return true;
}

// "*": any shape, the same for all arguments that say so; their number of elements is the size of the letter *.
bool read_shape(const Signature& s, const ArrayArgument& wanted, PyArrayObject* a, Call& c) {
    if (c['*'] == UNKNOWN) {
        c.letters['*'] = PyArray_SIZE(a);
        c.rank = PyArray_NDIM(a);
        c.shape = PyArray_DIMS(a);
        return true;
    }
    if (PyArray_NDIM(a) == c.rank && PyArray_CompareLists(c.shape, PyArray_DIMS(a), c.rank)) return true;
    fail(PyExc_ValueError, s, wanted.name, "has another shape than the array before");
    return false;
}

// The argument as a dense array of the right type and sizes.
bool read_array(const Signature& s, const ArrayArgument& wanted, PyObject* given, Call& c, Array& array,
                PyObject*& keep) {
    if (given == Py_None && wanted.optional) return true;
    if (!PyArray_Check(given)) return fail(PyExc_TypeError, s, wanted.name, "must be an array"), false;
    auto* a = reinterpret_cast<PyArrayObject*>(given);
    const int type = type_of(wanted);
    if (PyArray_TYPE(a) != type || PyArray_ISBYTESWAPPED(a)) {
        PyErr_Format(PyExc_TypeError, "%s: %s must be %s, got %S", s.name, wanted.name, wanted.type(),
                     reinterpret_cast<PyObject*>(PyArray_DESCR(a)));
        return false;
    }
    if (!(wanted.sizes[0] == '*' ? read_shape(s, wanted, a, c) : read_sizes(s, wanted, a, c))) return false;
    keep = PyArray_IS_C_CONTIGUOUS(a) && PyArray_ISALIGNED(a)
               ? Py_NewRef(given)
               : reinterpret_cast<PyObject*>(PyArray_FromArray(a, nullptr, NPY_ARRAY_CARRAY_RO | NPY_ARRAY_ENSURECOPY));
    if (keep == nullptr) return false;
    array.data = PyArray_DATA(reinterpret_cast<PyArrayObject*>(keep));
    return true;
}

// The integers and the reals; an integer named by a letter is the size of an axis.
bool read_numbers(const Signature& s, PyObject* const* given, Call& c) {
    for (int i = 0; i < s.integers; ++i) {
        const char* name = s.integer[i];
        int overflow = 0;
        const int64_t value = PyLong_AsLongLongAndOverflow(given[i], &overflow);
        if (value == -1 && PyErr_Occurred()) return false;
        if (overflow != 0 || value < -LARGEST || value > LARGEST) return fail(PyExc_ValueError, s, name, "is absurd"), false;
        c.integer[i] = value;
        if (name[1] == '\0') {
            if (value < 0) return fail(PyExc_ValueError, s, name, "must not be negative"), false;
            c.letters[static_cast<unsigned char>(name[0])] = value;
        }
    }
    for (int i = 0; i < s.reals; ++i) {
        c.real[i] = PyFloat_AsDouble(given[s.integers + i]);
        if (c.real[i] == -1.0 && PyErr_Occurred()) return false;
    }
    return true;
}

PyObject* call(const Signature& s, PyObject* const* given, Py_ssize_t count) {
    Call c;
    Kept kept;
    PyObject** outputs = kept.objects + MAX_ARRAYS;
    if (count != s.arguments()) {
        return PyErr_Format(PyExc_TypeError, "%s: takes %d arguments, got %zd", s.name, s.arguments(), count);
    }
    // Numbers first: what Python runs to convert them must not change an array that was read before.
    if (!read_numbers(s, given + s.inputs, c)) return nullptr;
    for (int i = 0; i < s.inputs; ++i) {
        if (!read_array(s, s.input[i], given[i], c, c.in[i], kept.objects[i])) return nullptr;
    }
    if (s.check != nullptr) {
        if (const char* problem = s.check(c)) return PyErr_Format(PyExc_ValueError, "%s: %s", s.name, problem);
    }
    for (int i = 0; i < s.outputs; ++i) {
        const int type = type_of(s.output[i]);
        if (s.output[i].sizes[0] == '*') {
            outputs[i] = new_array(c.rank, c.shape, type);
        } else {
            npy_intp sizes[MAX_RANK] = {};
            const int rank = static_cast<int>(std::strlen(s.output[i].sizes));
            for (int k = 0; k < rank; ++k) sizes[k] = c[s.output[i].sizes[k]];
            outputs[i] = new_array(rank, sizes, type);
        }
        if (outputs[i] == nullptr) return nullptr;
        c.out[i].data = PyArray_DATA(reinterpret_cast<PyArrayObject*>(outputs[i]));
    }
    bool enough_memory = true;
    Py_BEGIN_ALLOW_THREADS;
    try {
        s.run(kernels(), c);
    } catch (const std::bad_alloc&) {
        enough_memory = false;
    }
    Py_END_ALLOW_THREADS;
    if (!enough_memory) return PyErr_NoMemory();
    if (s.outputs == 0) Py_RETURN_NONE;
    if (s.outputs == 1) return Py_NewRef(outputs[0]);
    PyObject* tuple = PyTuple_New(s.outputs);
    for (int i = 0; tuple != nullptr && i < s.outputs; ++i) PyTuple_SET_ITEM(tuple, i, Py_NewRef(outputs[i]));
    return tuple;
}

template <int I>
PyObject* method(PyObject*, PyObject* const* given, Py_ssize_t count) {
    return call(signatures[I], given, count);
}

// --- what is not a kernel -----------------------------------------------------------------------------------------------

PyObject* py_num_threads(PyObject*, PyObject*) { return PyLong_FromLong(num_threads()); }

PyObject* py_set_num_threads(PyObject*, PyObject* n) {
    const long value = PyLong_AsLong(n);
    if (value == -1 && PyErr_Occurred()) return nullptr;
    if (value < 1 || value > 256) return PyErr_Format(PyExc_ValueError, "set_num_threads: n must be 1 to 256, got %ld", value);
    set_num_threads(static_cast<int>(value));
    Py_RETURN_NONE;
}

PyObject* py_isa(PyObject*, PyObject*) { return PyUnicode_FromString(isa()); }

PyObject* py_isas(PyObject*, PyObject*) {
    PyObject* list = PyList_New(0);
    for (const char* const* name = isa_names(); list != nullptr && *name != nullptr; ++name) {
        PyObject* text = PyUnicode_FromString(*name);
        if (text == nullptr || PyList_Append(list, text) < 0) Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

PyObject* py_choose_isa(PyObject*, PyObject* name) {
    const char* text = PyUnicode_AsUTF8(name);
    if (text == nullptr) return nullptr;
    if (!choose_isa(text)) return PyErr_Format(PyExc_ValueError, "this processor has no kernels for %R", name);
    Py_RETURN_NONE;
}

PyObject* py_cache(PyObject*, PyObject*) {
    const CacheState state = cache_state();
    return Py_BuildValue("LL", static_cast<long long>(state.held_bytes), static_cast<long long>(state.limit_bytes));
}

PyObject* py_set_cache_limit(PyObject*, PyObject* bytes) {
    const long long value = PyLong_AsLongLong(bytes);
    if (value == -1 && PyErr_Occurred()) return nullptr;
    if (value < 0) return PyErr_Format(PyExc_ValueError, "the cache's limit must not be negative");
    set_cache_limit(value);
    Py_RETURN_NONE;
}

PyObject* py_empty_cache(PyObject*, PyObject*) {
    empty_cache();
    Py_RETURN_NONE;
}

PyObject* py_poison(PyObject*, PyObject* on) {
    const int value = PyObject_IsTrue(on);
    if (value < 0) return nullptr;
    poisoned = value != 0;
    Py_RETURN_NONE;
}

// --- the module ---------------------------------------------------------------------------------------------------------

PyMethodDef methods[KERNEL_COUNT + 16];

template <int I>
void add_kernels() {
    static const std::string text = describe(signatures[I]);
    methods[I] = {signatures[I].name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(method<I>)),
                  METH_FASTCALL, text.c_str()};
    if constexpr (I + 1 < KERNEL_COUNT) add_kernels<I + 1>();
}

PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", "The compiled kernels; tensorgraph.kernels.native calls them.",
                      -1, methods, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace tensorgraph

PyMODINIT_FUNC PyInit__native() {
    using namespace tensorgraph;
    import_array();
    add_kernels<0>();
    PyMethodDef* next = methods + KERNEL_COUNT;
    *next++ = {"takes", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_takes)), METH_FASTCALL, nullptr};
    *next++ = {"sgd", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_sgd)), METH_FASTCALL, nullptr};
    *next++ = {"adam", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(py_adam)), METH_FASTCALL, nullptr};
    *next++ = {"num_threads", py_num_threads, METH_NOARGS, nullptr};
    *next++ = {"set_num_threads", py_set_num_threads, METH_O, nullptr};
    *next++ = {"isa", py_isa, METH_NOARGS, nullptr};
    *next++ = {"isas", py_isas, METH_NOARGS, nullptr};
    *next++ = {"choose_isa", py_choose_isa, METH_O, nullptr};
    *next++ = {"cache", py_cache, METH_NOARGS, nullptr};
    *next++ = {"set_cache_limit", py_set_cache_limit, METH_O, nullptr};
    *next++ = {"empty_cache", py_empty_cache, METH_NOARGS, nullptr};
    *next++ = {"poison", py_poison, METH_O, nullptr};
    memory_capsule = PyCapsule_New(&memory, "mem_handler", nullptr);
    return memory_capsule == nullptr ? nullptr : PyModule_Create(&module);
}
