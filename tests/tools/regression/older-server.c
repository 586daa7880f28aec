/*
 * Functions that minor releases of PostgreSQL made out of macros. Compiled with newer headers, regress.c calls them,
 * and an older server has none. These are weak: where the server has its own, that is taken.
 */
#include "postgres.h"

#include "access/htup.h"
#include "fmgr.h"

#undef DatumGetHeapTupleHeader

HeapTupleHeader __attribute__((weak)) DatumGetHeapTupleHeader(Datum value);

/* Since 15.19: a macro in fmgr.h of 15.18. */
HeapTupleHeader
DatumGetHeapTupleHeader(Datum value)
{
	return (HeapTupleHeader) PG_DETOAST_DATUM(value);
}
