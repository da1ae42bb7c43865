// NumPy, set up once in binding.cpp, and the functions of the other binding files.
#pragma once

#define PY_SSIZE_T_CLEAN
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL tensorgraph_numpy
#ifndef TENSORGRAPH_BINDING
#define NO_IMPORT_ARRAY
#endif
#include <Python.h>
#include <numpy/arrayobject.h>

namespace tensorgraph {

PyObject* py_takes(PyObject*, PyObject* const* given, Py_ssize_t count);
PyObject* py_sgd(PyObject*, PyObject* const* given, Py_ssize_t count);
PyObject* py_adam(PyObject*, PyObject* const* given, Py_ssize_t count);

}  // namespace tensorgraph
