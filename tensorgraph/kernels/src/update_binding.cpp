// The kernels that work in place, on lists of arrays: sgd(values, gradients, running sums, numbers...) and
// adam(values, gradients, means, squares, numbers...). They check their arguments, and do no arithmetic on values.
#include "binding.h"

#include <vector>

#include "dispatch.h"

namespace tensorgraph {
namespace {

constexpr int MAX_LISTS = 4, MAX_NUMBERS = 8;

// The arguments of one call, and the references that it needs.
struct Update {
    PyObject* lists[MAX_LISTS] = {};  // of values, gradients, and the state: tuples that nobody else can change
    std::vector<Piece> pieces;
    std::vector<PyObject*> copies;
    float number[MAX_NUMBERS] = {};

    ~Update() {
        for (PyObject* list : lists) Py_XDECREF(list);
        for (PyObject* copy : copies) Py_DECREF(copy);
    }

    PyArrayObject* at(int list, Py_ssize_t i) const {
        return reinterpret_cast<PyArrayObject*>(PyTuple_GET_ITEM(lists[list], i));
    }
};

// Whether a kernel can write to it: dense float32, like the value.
bool takes(PyArrayObject* a, PyArrayObject* value) {
    return PyArray_Check(a) && PyArray_TYPE(a) == NPY_FLOAT32 && PyArray_ISCARRAY(a) && PyArray_SAMESHAPE(a, value);
}

enum Outcome { FAILED, NOT_TAKEN, READY };

// Reads the lists and numbers. NOT_TAKEN: some array is of another type or layout, the caller has to do without us.
Outcome read(const char* name, int lists, int numbers, PyObject* const* given, Py_ssize_t count, Update& u) {
    if (count != lists + numbers) {
        return PyErr_Format(PyExc_TypeError, "%s: takes %d arguments, got %zd", name, lists + numbers, count), FAILED;
    }
    if (given[0] == Py_None || given[1] == Py_None) return NOT_TAKEN;
    Py_ssize_t size = 0;
    for (int k = 0; k < lists; ++k) {
        if (given[k] == Py_None) continue;
        u.lists[k] = PySequence_Tuple(given[k]);
        if (u.lists[k] == nullptr) return FAILED;
        if (k == 0) size = PyTuple_GET_SIZE(u.lists[0]);
        if (PyTuple_GET_SIZE(u.lists[k]) != size) {
            return PyErr_Format(PyExc_ValueError, "%s: the lists must be of one length", name), FAILED;
        }
    }
    for (int k = 0; k < numbers; ++k) {
        const double number = PyFloat_AsDouble(given[lists + k]);
        if (number == -1.0 && PyErr_Occurred()) return FAILED;
        u.number[k] = static_cast<float>(number);
    }
    u.pieces.reserve(size);
    for (Py_ssize_t i = 0; i < size; ++i) {
        PyArrayObject *value = u.at(0, i), *gradient = u.at(1, i);
        if (!PyArray_Check(value) || !takes(value, value) || !PyArray_Check(gradient)) return NOT_TAKEN;
        if (PyArray_TYPE(gradient) != NPY_FLOAT32 || !PyArray_SAMESHAPE(gradient, value)) return NOT_TAKEN;
        Piece piece{PyArray_SIZE(value), static_cast<float*>(PyArray_DATA(value)), nullptr, {}};
        for (int k = 2; k < lists; ++k) {
            if (u.lists[k] == nullptr) continue;
            if (!takes(u.at(k, i), value)) return NOT_TAKEN;
            piece.state[k - 2] = static_cast<float*>(PyArray_DATA(u.at(k, i)));
        }
        if (!PyArray_ISCARRAY_RO(gradient)) {  // such as a transposed one
            PyObject* copy = PyArray_FromArray(gradient, PyArray_DescrFromType(NPY_FLOAT32), NPY_ARRAY_CARRAY_RO);
            if (copy == nullptr) return FAILED;
            u.copies.push_back(copy);
            gradient = reinterpret_cast<PyArrayObject*>(copy);
        }
        piece.gradient = static_cast<const float*>(PyArray_DATA(gradient));
        u.pieces.push_back(piece);
    }
    return READY;
}

template <class Options>
PyObject* run(Outcome outcome, const Update& u, void (*kernel)(const Piece*, int64_t, const Options&),
              const Options& options) {
    if (outcome == FAILED) return nullptr;
    if (outcome == NOT_TAKEN) Py_RETURN_FALSE;
    Py_BEGIN_ALLOW_THREADS;
    kernel(u.pieces.data(), static_cast<int64_t>(u.pieces.size()), options);
    Py_END_ALLOW_THREADS;
    Py_RETURN_TRUE;
}

}  // namespace

// Whether `sgd` and `adam` take these lists: (values, gradients, state...), where None stands for no state.
PyObject* py_takes(PyObject*, PyObject* const* given, Py_ssize_t count) {
    Update u;
    if (count < 2 || count > MAX_LISTS) return PyErr_Format(PyExc_TypeError, "takes: wants 2 to %d lists", MAX_LISTS);
    const Outcome outcome = read("takes", static_cast<int>(count), 0, given, count, u);
    return outcome == FAILED ? nullptr : PyBool_FromLong(outcome == READY);
}

PyObject* py_sgd(PyObject*, PyObject* const* given, Py_ssize_t count) {
    Update u;
    const float* x = u.number;
    const Outcome outcome = read("sgd", 3, 6, given, count, u);
    const float momentum = u.lists[2] == nullptr ? 0 : x[1];  // no list of running sums, no momentum
    return run(outcome, u, kernels().sgd, {x[0], momentum, x[2], x[3], x[4] != 0, x[5] != 0});
}

PyObject* py_adam(PyObject*, PyObject* const* given, Py_ssize_t count) {
    Update u;
    const float* x = u.number;
    Outcome outcome = read("adam", 4, 8, given, count, u);
    if (outcome == READY && (u.lists[2] == nullptr || u.lists[3] == nullptr)) outcome = NOT_TAKEN;
    return run(outcome, u, kernels().adam, {x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]});
}

}  // namespace tensorgraph
